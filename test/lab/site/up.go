package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealift/sealift/test/lab/cluster"
	"github.com/sealift/sealift/test/lab/darknet"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/node"
)

// ClusterName is the name of the cluster that Up makes.
const ClusterName = "sealift-lab"

// Kubeconfig returns the file that Up writes.
func (l *Lab) Kubeconfig() string { return filepath.Join(l.dir, "kubeconfig") }

// Logs is the folder of logs of clusters that did not come up, and of tests.
func (l *Lab) Logs() string { return filepath.Join(l.dir, "logs") }

// own returns the engine of the lab's own, whether it runs or not.
func (l *Lab) own() *engine.Own { return engine.NewOwn(l.dir, l.cache.Path(l.steps.engine)) }

// jump returns the engine of a jump host, whether it runs or not.
func (l *Lab) jump(host string) *engine.Own {
	return engine.NewOwn(filepath.Join(l.jumps(), host), l.cache.Path(l.steps.engine))
}

func (l *Lab) jumps() string { return filepath.Join(l.dir, "jump") }

// JumpEngine starts an engine where the command enter leads: that of a jump
// host, by its name, which is on no network but the host's. Its end is
// StopJumpEngine's, or Down's.
func (l *Lab) JumpEngine(ctx context.Context, host string, enter []string) (*engine.Engine, error) {
	if err := l.StopJumpEngine(ctx, host); err != nil {
		return nil, err
	}
	if _, err := l.Make(ctx, l.steps.engine); err != nil {
		return nil, err
	}
	o := l.jump(host)
	o.Enter = enter
	return o.Start(ctx)
}

// StopJumpEngine ends a jump host's engine and removes its data. It does
// nothing where there is none.
func (l *Lab) StopJumpEngine(ctx context.Context, host string) error {
	o := l.jump(host)
	if err := o.Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(o.Data))
}

// stopJumpEngines stops those of all jump hosts.
func (l *Lab) stopJumpEngines(ctx context.Context) error {
	hosts, err := os.ReadDir(l.jumps())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, host := range hosts {
		err = errors.Join(err, l.StopJumpEngine(ctx, host.Name()))
	}
	return err
}

// findEngine returns the engine that runs without the lab.
func (l *Lab) findEngine(ctx context.Context) (*engine.Engine, error) {
	if l.opts.OwnEngine || l.own().Exists() {
		return nil, engine.ErrNone
	}
	return engine.Find(ctx)
}

// Engine returns the engine that runs, or starts the lab's own.
func (l *Lab) Engine(ctx context.Context) (*engine.Engine, error) {
	e, err := l.findEngine(ctx)
	if !errors.Is(err, engine.ErrNone) {
		return e, err
	}
	return l.own().Start(ctx)
}

// LoadNodes loads the node images into an engine that does not have them.
func (l *Lab) LoadNodes(ctx context.Context, e *engine.Engine) (node.Names, error) {
	names, err := l.NodeImages()
	if err != nil {
		return node.Names{}, err
	}
	if e.HasImage(ctx, names.Full) && e.HasImage(ctx, names.Bare) {
		return names, nil
	}
	if err := e.Load(ctx, l.NodeArchive()); err != nil {
		return node.Names{}, fmt.Errorf("loading the node images: %w", err)
	}
	return names, nil
}

// Up starts an engine if none runs, and makes a cluster of one node. Where the
// cluster is up already it says so. What a killed run left is made anew.
func (l *Lab) Up(ctx context.Context) (*cluster.Cluster, error) {
	release, err := l.cache.Lock()
	if err != nil {
		return nil, err
	}
	c, err := l.up(ctx)
	return c, errors.Join(err, release())
}

func (l *Lab) up(ctx context.Context) (*cluster.Cluster, error) {
	if err := l.Ready(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	e, err := l.Engine(ctx)
	if err != nil {
		return nil, err
	}
	l.opts.Log("engine: Docker %s, %s", e.Version, since(&start))
	names, err := l.LoadNodes(ctx, e)
	if err != nil {
		return nil, err
	}
	l.opts.Log("node images: %s, %s", names.Full, since(&start))
	if cluster.Running(ctx, e, ClusterName, names.Full) && exists(l.Kubeconfig()) {
		l.opts.Log("cluster: %s is up already", ClusterName)
		return &cluster.Cluster{Name: ClusterName, Kubeconfig: l.Kubeconfig()}, nil
	}
	c, err := cluster.Create(ctx, e, ClusterName, cluster.Options{Image: names.Full, Kubeconfig: l.Kubeconfig(), Logs: l.Logs()})
	if err != nil {
		return nil, err
	}
	l.opts.Log("cluster: %s, %s", ClusterName, since(&start))
	return c, nil
}

// since returns the time since start, and starts anew.
func since(start *time.Time) time.Duration {
	took := time.Since(*start).Round(100 * time.Millisecond)
	*start = time.Now()
	return took
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Down removes all that Up made and nothing else: all containers of the lab's
// node images, the network, these images, and the engine if the lab started
// it. It also removes what was left by an Up, or a test, that was killed.
func (l *Lab) Down(ctx context.Context) error {
	release, err := l.cache.Lock()
	if err != nil {
		return err
	}
	return errors.Join(l.down(ctx), release())
}

func (l *Lab) down(ctx context.Context) error {
	if err := l.stopJumpEngines(ctx); err != nil {
		return err
	}
	e, err := l.engineToClean(ctx)
	if err != nil {
		return err
	}
	if e != nil {
		if err := clean(ctx, e); err != nil {
			return err
		}
	}
	if err := l.own().Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(l.Kubeconfig())
}

// engineToClean returns the engine that Up used, started again if it was
// killed, so that its containers end; nil where there is none.
func (l *Lab) engineToClean(ctx context.Context) (*engine.Engine, error) {
	if l.own().Exists() {
		return l.own().Start(ctx)
	}
	e, err := l.findEngine(ctx)
	if errors.Is(err, engine.ErrNone) {
		return nil, nil //nolint:nilnil // there is nothing to clean
	}
	return e, err
}

// clean removes the nodes of all clusters, which have the label of the image
// that they were made of, then what they used.
func clean(ctx context.Context, e *engine.Engine) error {
	if err := cluster.Remove(ctx, e, node.Label); err != nil {
		return fmt.Errorf("removing nodes: %w", err)
	}
	if err := errors.Join(cluster.DeleteNetwork(ctx, e), darknet.Clean(ctx, e)); err != nil {
		return err
	}
	out, err := e.Run(ctx, "image", "ls", "--quiet", "--filter", "label="+node.Label)
	if err != nil || out == "" {
		return err
	}
	_, err = e.Run(ctx, append([]string{"image", "rm", "--force"}, strings.Fields(out)...)...)
	return err
}

func (l *Lab) whatIsUp(ctx context.Context) []string {
	e, err := l.findEngine(ctx)
	if l.own().Exists() {
		e, err = l.own().Running(ctx)
	}
	if err != nil {
		return []string{"engine: " + err.Error()}
	}
	out := []string{"engine: Docker " + e.Version}
	names, err := l.NodeImages()
	if err == nil && cluster.Running(ctx, e, ClusterName, names.Full) {
		out = append(out, "cluster: "+ClusterName+", kubeconfig "+l.Kubeconfig())
	}
	return out
}
