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
	// CertsDir is a folder of this host with containerd's configuration of
	// registries, which the node sees; "" means none.
	CertsDir string
	Podman   bool // instead of Docker
}

// Kind is a control plane in a kind cluster of one node.
type Kind struct {
	opts     KindOptions
	engine   engine
	provider *cluster.Provider
}

var _ Bootstrap = (*Kind)(nil)

// NewKind returns a kind cluster that need not exist yet.
func NewKind(opts KindOptions) *Kind {
	e, runtime := engine("docker"), cluster.ProviderWithDocker()
	if opts.Podman {
		e, runtime = engine("podman"), cluster.ProviderWithPodman()
	}
	return &Kind{opts: opts, engine: e, provider: cluster.NewProvider(runtime, cluster.ProviderWithLogger(log.NoopLogger{}))}
}

func (k *Kind) kubeconfig() *Kubeconfig {
	return &Kubeconfig{Path: filepath.Join(k.opts.Dir, "kubeconfig")}
}

// Exists implements Bootstrap.
func (k *Kind) Exists(context.Context) (bool, error) {
	if _, err := os.Lstat(k.opts.Dir); err == nil {
		return true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	nodes, err := k.provider.ListInternalNodes(k.opts.Name)
	if err != nil {
		return false, noEngine(k.engine, err)
	}
	return len(nodes) > 0, nil
}

// Start implements Bootstrap. A cluster is finished when its kubeconfig is in
// the folder: what an interrupted run left without one is made anew, and one
// with objects is never thrown away.
func (k *Kind) Start(ctx context.Context) (*Kubeconfig, error) {
	if err := k.start(ctx); err != nil {
		return nil, fmt.Errorf("starting the kind cluster %s: %w", k.opts.Name, err)
	}
	return k.kubeconfig(), nil
}

func (k *Kind) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := private(k.opts.Dir); err != nil {
		return err
	}
	nodes, err := k.provider.ListInternalNodes(k.opts.Name)
	if err != nil {
		return noEngine(k.engine, err)
	}
	_, err = os.Stat(k.kubeconfig().Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && len(nodes) > 0 {
		for _, node := range nodes {
			if err := k.engine.run(ctx, nil, "start", node.String()); err != nil {
				return err
			}
		}
		return k.answers(ctx)
	}
	if err := k.delete(); err != nil {
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
	node := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole}
	if k.opts.CertsDir != "" {
		node.ExtraMounts = []v1alpha4.Mount{{HostPath: k.opts.CertsDir, ContainerPath: "/etc/containerd/certs.d", Readonly: true}}
	}
	config := &v1alpha4.Cluster{TypeMeta: v1alpha4.TypeMeta{APIVersion: "kind.x-k8s.io/v1alpha4", Kind: "Cluster"}, Nodes: []v1alpha4.Node{node}}
	temporary := filepath.Join(k.opts.Dir, "kubeconfig.partial")
	made := make(chan error, 1)
	go func() {
		made <- k.provider.Create(k.opts.Name, cluster.CreateWithV1Alpha4Config(config), cluster.CreateWithNodeImage(image),
			cluster.CreateWithKubeconfigPath(temporary), cluster.CreateWithWaitForReady(readyTime),
			cluster.CreateWithDisplayUsage(false), cluster.CreateWithDisplaySalutation(false))
	}()
	if err := k.await(ctx, made); err != nil {
		return errors.Join(err, k.delete())
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
func (k *Kind) Stop(context.Context) error { return nil }

// Remove implements Bootstrap.
func (k *Kind) Remove(context.Context) error {
	if err := k.delete(); err != nil {
		return fmt.Errorf("removing the kind cluster %s: %w", k.opts.Name, err)
	}
	return nil
}

// delete removes the kubeconfig last: as long as it is there, so are the nodes.
func (k *Kind) delete() error {
	if err := k.provider.Delete(k.opts.Name, filepath.Join(k.opts.Dir, "kubeconfig.partial")); err != nil {
		return noEngine(k.engine, err)
	}
	err := errors.Join(os.RemoveAll(filepath.Join(k.opts.Dir, "kubeconfig.partial")), os.RemoveAll(k.kubeconfig().Path))
	_ = os.Remove(k.opts.Dir) // what somebody else put there stays, and the folder with it
	if err != nil {
		return err
	}
	return nil
}
