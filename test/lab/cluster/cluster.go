// Package cluster makes and removes kind clusters in the lab's engine.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/engine"
)

// Options is how a cluster is made. Image is needed; the rest of the zero
// value is one node, kind's own network, and a wait of three minutes.
type Options struct {
	Image      string // node image; the engine has it
	Workers    int    // nodes beside the control plane
	Network    string // the engine's network that nodes are on; "" is sealift-lab, which is made
	Kubeconfig string // file that is written; "" is the user's own
	Logs       string // folder for the nodes' logs when the cluster does not come up; "" keeps none
	// ContainerdPatches are TOML merged into the nodes' /etc/containerd/config.toml.
	ContainerdPatches []string
	// Mounts are folders of this machine that every node sees, such as one at
	// /etc/containerd/certs.d.
	Mounts []Mount
	Wait   time.Duration // until the nodes are ready; 0 is three minutes
	Log    log.Logger    // kind's own words; nil drops them
}

// Mount is a folder, or a file, of this machine in a node.
type Mount struct {
	Host, Node string
	Writable   bool // by the node
}

// network is the engine's network that clusters are on.
const network = "sealift-lab"

// Cluster is a cluster that runs.
type Cluster struct {
	Name       string
	Kubeconfig string
}

// Create makes a cluster. What an interrupted run left under its name is
// removed first; when it does not come up, nothing is left but its logs.
func Create(ctx context.Context, e *engine.Engine, name string, opts Options) (*Cluster, error) {
	if err := Delete(ctx, e, name, opts.Kubeconfig); err != nil {
		return nil, err
	}
	if !e.HasImage(ctx, opts.Image) {
		return nil, problem.New(problem.Preflight, "go run ./test/lab up loads it", "the engine has no node image %s", opts.Image)
	}
	provider, err := prepare(e, opts)
	if err != nil {
		return nil, err
	}
	var failed error
	made := make(chan struct{})
	go func() {
		defer close(made)
		failed = provider.Create(name, opts.create()...)
	}()
	select {
	case <-made:
		err = failed
	case <-ctx.Done():
		err = errors.Join(ctx.Err(), stop(context.WithoutCancel(ctx), e, name, made))
	}
	if err == nil {
		return &Cluster{Name: name, Kubeconfig: opts.Kubeconfig}, nil
	}
	return nil, giveUp(ctx, e, provider, name, opts, fmt.Errorf("creating cluster %s: %w", name, err))
}

// stop takes away the nodes of a cluster that is being made until kind, which
// cannot be told to stop, has noticed. Kind may wait long for what will never
// be, but a node comes only in the first seconds.
func stop(ctx context.Context, e *engine.Engine, name string, made <-chan struct{}) error {
	for range 8 {
		if err := Remove(ctx, e, ofCluster(name)); err != nil {
			return err
		}
		select {
		case <-made:
			return nil
		case <-time.After(time.Second):
		}
	}
	return nil
}

// giveUp keeps the logs of a cluster that did not come up, and removes it.
func giveUp(ctx context.Context, e *engine.Engine, provider *cluster.Provider, name string, opts Options, err error) error {
	if opts.Logs != "" && ctx.Err() == nil {
		dir := filepath.Join(opts.Logs, name)
		if logErr := provider.CollectLogs(name, dir); logErr == nil {
			err = problem.WithRemedy(err, "read the nodes' logs in "+dir)
		}
	}
	return errors.Join(err, Delete(context.WithoutCancel(ctx), e, name, opts.Kubeconfig))
}

// prepare returns kind's provider for the engine and the network.
func prepare(e *engine.Engine, opts Options) (*cluster.Provider, error) {
	if opts.Network == "" {
		opts.Network = network
	}
	if opts.Log == nil {
		opts.Log = log.NoopLogger{}
	}
	// kind reads both from the environment and nowhere else.
	if err := errors.Join(e.Use(), os.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", opts.Network)); err != nil {
		return nil, err
	}
	return cluster.NewProvider(cluster.ProviderWithDocker(), cluster.ProviderWithLogger(opts.Log)), nil
}

// create returns kind's options.
func (o Options) create() []cluster.CreateOption {
	wait := o.Wait
	if wait == 0 {
		wait = 3 * time.Minute
	}
	return []cluster.CreateOption{
		cluster.CreateWithV1Alpha4Config(o.config()),
		cluster.CreateWithNodeImage(o.Image),
		cluster.CreateWithKubeconfigPath(o.Kubeconfig),
		cluster.CreateWithWaitForReady(wait),
		cluster.CreateWithRetain(true), // giveUp reads the logs first
		cluster.CreateWithDisplayUsage(false),
		cluster.CreateWithDisplaySalutation(false),
	}
}

func (o Options) config() *v1alpha4.Cluster {
	node := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole}
	for _, m := range o.Mounts {
		node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: m.Host, ContainerPath: m.Node, Readonly: !m.Writable})
	}
	config := &v1alpha4.Cluster{
		TypeMeta:                v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Nodes:                   []v1alpha4.Node{node},
		ContainerdConfigPatches: o.ContainerdPatches,
	}
	for range o.Workers {
		worker := node
		worker.Role = v1alpha4.WorkerRole
		config.Nodes = append(config.Nodes, worker)
	}
	return config
}

// ofCluster is the label that kind gives a cluster's nodes.
func ofCluster(name string) string { return "io.x-k8s.kind.cluster=" + name }

// containers returns the identifiers of the containers with a label.
func containers(ctx context.Context, e *engine.Engine, label string) ([]string, error) {
	out, err := e.Run(ctx, "ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+label)
	if err != nil {
		return nil, err
	}
	return strings.Fields(out), nil
}

// Running tells whether a cluster's nodes are there, all run, and are of an image.
func Running(ctx context.Context, e *engine.Engine, name, image string) bool {
	ids, err := containers(ctx, e, ofCluster(name))
	if err != nil || len(ids) == 0 {
		return false
	}
	out, err := e.Run(ctx, append([]string{"inspect", "--format", "{{.State.Running}} {{.Config.Image}}"}, ids...)...)
	if err != nil {
		return false
	}
	for line := range strings.Lines(out) {
		if strings.TrimSpace(line) != "true "+image {
			return false
		}
	}
	return true
}

// Delete removes the nodes of a cluster and its entry in a kubeconfig. It does
// nothing where there is none.
func Delete(ctx context.Context, e *engine.Engine, name, kubeconfig string) error {
	if err := Remove(ctx, e, ofCluster(name)); err != nil {
		return fmt.Errorf("deleting cluster %s: %w", name, err)
	}
	provider, err := prepare(e, Options{})
	if err != nil {
		return err
	}
	return provider.Delete(name, kubeconfig) // what is left is the kubeconfig's entry
}

// Remove removes all containers with a label, and their volumes, even those
// that hold something frozen.
func Remove(ctx context.Context, e *engine.Engine, label string) error {
	ids, err := containers(ctx, e, label)
	if err != nil || len(ids) == 0 {
		return err
	}
	thawing, stop := context.WithCancel(ctx)
	defer stop()
	go thawUntil(thawing, freezer, ids)
	_, err = e.Run(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	return err
}

// DeleteNetwork removes the network that clusters are on by default, if it is there.
func DeleteNetwork(ctx context.Context, e *engine.Engine) error {
	out, err := e.Run(ctx, "network", "ls", "--quiet", "--filter", "name=^"+network+"$")
	if err != nil || out == "" {
		return err
	}
	_, err = e.Run(ctx, append([]string{"network", "rm"}, strings.Fields(out)...)...)
	return err
}
