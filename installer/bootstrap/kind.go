package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/mirror/runtimeconfig"
)

// KindOptions is how a kind cluster is made. Name, Dir and Image are needed.
type KindOptions struct {
	Name string // of the cluster, and in the names of its containers
	// Dir is a folder for the kubeconfig, which only its owner reads.
	Dir string
	// Image is the reference of the node image; with From it is only a name for
	// errors.
	Image string
	// From is where the node image, NodeImage, is loaded from; nil means that
	// the engine has Image.
	From      content.Fetcher
	NodeImage content.Descriptor
	// Mirror is the configuration by which the node's containerd pulls; none
	// leaves it as it is.
	Mirror []runtimeconfig.File
	// ContainerdPatches are TOML merged into the node's config.toml. One that
	// names a version is for containerd's configuration of that version alone.
	ContainerdPatches []string
}

// Kind is a control plane in a kind cluster of one node.
type Kind struct {
	opts     KindOptions
	engine   engine
	provider *cluster.Provider
	lock     *os.File // held from Start to Stop
}

var _ Bootstrap = (*Kind)(nil)

// KindName is the name of the kind cluster of a site.
func KindName(site string) string { return "sealift-" + site }

// NewKind returns a kind cluster that need not exist yet. It is Docker's, or
// Podman's where only that is installed.
func NewKind(opts KindOptions) *Kind {
	e := findEngine()
	runtime := cluster.ProviderWithDocker()
	if e == podman {
		runtime = cluster.ProviderWithPodman()
	}
	return &Kind{opts: opts, engine: e, provider: cluster.NewProvider(runtime, cluster.ProviderWithLogger(log.NoopLogger{}))}
}

// nodeFolder has the files of the node, below the folder of a kind cluster.
const nodeFolder = "node"

// kubeconfigPartial is the file that kind writes the kubeconfig to, and
// kubeconfigLock the one beside it by which kind keeps others from it. A process
// that is killed leaves that, and kind would then refuse to write for ever.
const (
	kubeconfigPartial = "kubeconfig.partial"
	kubeconfigLock    = kubeconfigPartial + ".lock"
)

// kindNames are all that a kind cluster keeps in its folder.
func kindNames() []string {
	return []string{nodeFolder, "kubeconfig", kubeconfigPartial, kubeconfigLock, lockFile}
}

func (k *Kind) root() string { return filepath.Join(k.opts.Dir, nodeFolder) }

// IsKind tells whether a folder is that of a kind cluster.
func IsKind(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, nodeFolder))
	return err == nil
}

func (k *Kind) kubeconfig() *Kubeconfig {
	return &Kubeconfig{Path: filepath.Join(k.opts.Dir, "kubeconfig")}
}

// Exists implements Bootstrap.
func (k *Kind) Exists(ctx context.Context) (bool, error) {
	if there, err := left(k.opts.Dir, kindNames()); err != nil || there {
		return there, err
	}
	nodes, err := k.nodes(ctx)
	if err != nil || len(nodes) > 0 {
		return err == nil, err
	}
	images, networks, err := k.leftovers(ctx)
	return len(images)+len(networks) > 0, err
}

// Start implements Bootstrap. A cluster is finished when its kubeconfig is in
// the folder: what an interrupted run left without one is made anew, and one
// with objects is never thrown away.
func (k *Kind) Start(ctx context.Context) (*Kubeconfig, error) {
	if err := k.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the kind cluster %s: %w", k.opts.Name, err), k.release())
	}
	return k.kubeconfig(), nil
}

// claim makes the folder private, and makes sure that nobody else uses it.
func (k *Kind) claim() error {
	for _, dir := range []string{k.opts.Dir, k.root()} {
		if err := private(dir); err != nil {
			return err
		}
	}
	if k.lock != nil {
		return nil
	}
	var err error
	k.lock, err = Lock(k.opts.Dir)
	return err
}

func (k *Kind) release() error {
	if k.lock == nil {
		return nil
	}
	err := k.lock.Close()
	k.lock = nil
	return err
}

func (k *Kind) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := k.nodes(ctx); err != nil {
		return err // before anything is in this folder
	}
	if err := k.claim(); err != nil {
		return err
	}
	nodes, err := k.nodes(ctx)
	if err != nil {
		return err
	}
	_, err = os.Stat(k.kubeconfig().Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && len(nodes) > 0 {
		for _, node := range nodes {
			if err := k.engine.run(ctx, nil, "start", node); err != nil {
				return err
			}
		}
		return k.answers(ctx)
	}
	if err := k.delete(ctx); err != nil {
		return err
	}
	if err := k.useNetwork(); err != nil {
		return err
	}
	return k.create(ctx)
}

func noEngine(e engine, err error) error {
	return problem.New(problem.Preflight, "start "+string(e)+", or use bootstrap: local, which needs none", "asking %s: %w", e, err)
}

// readyTime is how long kind waits for the node.
const readyTime = 3 * time.Minute

func (k *Kind) create(ctx context.Context) error {
	image, err := k.load(ctx)
	if err != nil {
		return err
	}
	if _, err := runtimeconfig.Write(k.root(), k.opts.Mirror, runtimeconfig.WriteOptions{Overwrite: true}); err != nil {
		return err
	}
	mark, err := k.mark()
	if err != nil {
		return err
	}
	node := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole, ExtraMounts: []v1alpha4.Mount{mark}}
	if len(k.opts.Mirror) > 0 {
		dir := runtimeconfig.DefaultDir(runtimeconfig.Containerd)
		node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: filepath.Join(k.root(), dir), ContainerPath: dir, Readonly: true})
	}
	config := &v1alpha4.Cluster{TypeMeta: v1alpha4.TypeMeta{APIVersion: "kind.x-k8s.io/v1alpha4", Kind: "Cluster"}, Nodes: []v1alpha4.Node{node},
		ContainerdConfigPatches: k.opts.ContainerdPatches}
	temporary := filepath.Join(k.opts.Dir, kubeconfigPartial)
	made := make(chan error, 1)
	go func() {
		made <- k.provider.Create(k.opts.Name, cluster.CreateWithV1Alpha4Config(config), cluster.CreateWithNodeImage(image),
			cluster.CreateWithKubeconfigPath(temporary), cluster.CreateWithWaitForReady(readyTime),
			cluster.CreateWithDisplayUsage(false), cluster.CreateWithDisplaySalutation(false))
	}()
	if err := k.await(ctx, made); err != nil {
		return errors.Join(err, k.delete(context.WithoutCancel(ctx)))
	}
	text, err := k.provider.KubeConfig(k.opts.Name, false)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(k.kubeconfig().Path, []byte(text), 0o600); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(temporary), k.answers(ctx))
}

// await waits for kind, which cannot be told to stop: when ctx is done, its
// nodes are taken away until it has noticed.
func (k *Kind) await(ctx context.Context, made <-chan error) error {
	select {
	case err := <-made:
		return err
	case <-ctx.Done():
	}
	for {
		err := k.provider.Delete(k.opts.Name, "")
		select {
		case failed := <-made:
			return errors.Join(context.Cause(ctx), failed, err)
		case <-time.After(time.Second):
		}
	}
}

// answers returns once the API server is ready.
func (k *Kind) answers(ctx context.Context) error {
	config, err := k.kubeconfig().REST()
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		err := probe(ctx, client, config.Host+"/readyz")
		if err == nil {
			return nil
		}
		if cause := retry.Sleep(ctx, readyPause); cause != nil {
			return errors.Join(cause, err)
		}
	}
}

// Stop implements Bootstrap. The cluster is none of this program's processes:
// it stays as it is.
func (k *Kind) Stop(context.Context) error { return k.release() }

// Remove implements Bootstrap. It refuses while another process works with the
// cluster.
func (k *Kind) Remove(ctx context.Context) error {
	there, err := k.Exists(ctx)
	if err == nil && !there {
		return nil
	}
	if err == nil {
		err = k.claim()
	}
	if err == nil {
		err = k.delete(ctx)
	}
	if err == nil {
		err = k.removeLeftovers(ctx)
	}
	if err == nil {
		err = empty(k.opts.Dir, kindNames())
	}
	if err != nil {
		err = fmt.Errorf("removing the kind cluster %s: %w", k.opts.Name, err)
	}
	return errors.Join(err, k.release())
}

// delete removes the kubeconfig last: as long as it is there, so are the nodes.
// The folder is locked: a lock of kind's that is there is nobody's.
func (k *Kind) delete(ctx context.Context) error {
	if _, err := k.nodes(ctx); err != nil {
		return err
	}
	partial := filepath.Join(k.opts.Dir, kubeconfigPartial)
	if err := os.RemoveAll(filepath.Join(k.opts.Dir, kubeconfigLock)); err != nil {
		return err
	}
	if err := k.provider.Delete(k.opts.Name, partial); err != nil {
		return noEngine(k.engine, err)
	}
	return errors.Join(os.RemoveAll(partial), os.RemoveAll(k.kubeconfig().Path))
}
