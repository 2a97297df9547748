package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/installer/clusterapi"
)

// Place is one of the two control planes that can hold an installation's objects.
type Place string

// The places.
const (
	Nowhere   Place = ""          // nothing answers
	Bootstrap Place = "bootstrap" // the control plane on this host
	Cluster   Place = "cluster"   // the cluster itself
)

// Found is what of an installation answers.
type Found struct {
	// Cluster is the cluster itself, Bootstrap the control plane on this host;
	// nil when it does not answer or was not made.
	Cluster, Bootstrap *clusterapi.Management
	// ClusterErr and BootstrapErr say why something that was made does not answer.
	ClusterErr, BootstrapErr error
	// Manager is that of both which has the Cluster object, and Place says which
	// it is; nil when neither has.
	Manager *clusterapi.Management
	Place   Place
}

// reachTimeout is how long a connection and each answer may take.
const reachTimeout = 5 * time.Second

// Find connects to what answers of the installation in a folder.
func Find(ctx context.Context, dir, cluster string) *Found {
	f := &Found{}
	f.Cluster, f.ClusterErr = connect(ctx, filepath.Join(dir, "kubeconfig"))
	f.Bootstrap, f.BootstrapErr = connect(ctx, filepath.Join(dir, "bootstrap", "kubeconfig"))
	if has(ctx, f.Cluster, cluster) {
		f.Manager, f.Place = f.Cluster, Cluster
	}
	// In the middle of a move the cluster has its objects paused, and the
	// bootstrap control plane is still the one that counts.
	if f.Bootstrap != nil && (f.Manager == nil || paused(ctx, f.Manager, cluster)) && has(ctx, f.Bootstrap, cluster) {
		f.Manager, f.Place = f.Bootstrap, Bootstrap
	}
	return f
}

func connect(ctx context.Context, kubeconfig string) (*clusterapi.Management, error) {
	if _, err := os.Stat(kubeconfig); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was not made yet, or is no more
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	// The client's own look at the kinds cannot be given up so early.
	server, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", server.Host)
	if err != nil {
		return nil, fmt.Errorf("the API server at %s does not answer: %w", config.Host, err)
	}
	_ = conn.Close() // nothing was sent
	m, err := clusterapi.Connect(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := m.Answers(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

func has(ctx context.Context, m *clusterapi.Management, cluster string) bool {
	if m == nil {
		return false
	}
	c, err := m.Cluster(ctx, cluster)
	return err == nil && c != nil
}

func paused(ctx context.Context, m *clusterapi.Management, cluster string) bool {
	c, err := m.Cluster(ctx, cluster)
	return err == nil && c != nil && c.Spec.Paused != nil && *c.Spec.Paused
}
