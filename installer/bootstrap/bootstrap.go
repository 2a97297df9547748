// Package bootstrap makes the temporary control plane from which a management
// cluster is built, and takes it away once that cluster manages itself.
//
// There are two. Local runs etcd, kube-apiserver and Cluster API's managers as
// child processes of the installer: it needs no container engine. Kind runs a
// kind cluster, where Docker or Podman is. What both promise is checked by
// bootstraptest.
package bootstrap

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Bootstrap is a control plane that lives until the pivot.
type Bootstrap interface {
	// Start brings the control plane up and returns when it answers. What an
	// earlier run left is found and goes on, with all its objects. Starting what
	// runs changes nothing.
	Start(ctx context.Context) (*Kubeconfig, error)
	// Stop ends the processes that this program has started. The objects stay
	// for the next Start.
	Stop(ctx context.Context) error
	// Exists tells whether there is anything that Remove would take away.
	Exists(ctx context.Context) (bool, error)
	// Remove takes the control plane away with all its objects. It does nothing
	// where there is none.
	Remove(ctx context.Context) error
}

// Kubeconfig is how the control plane is reached, as its administrator.
type Kubeconfig struct {
	Path string // of a file that only its owner reads
}

// REST returns the configuration of a client.
func (k *Kubeconfig) REST() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", k.Path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", k.Path, err)
	}
	return config, nil
}
