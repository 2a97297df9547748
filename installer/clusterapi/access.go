package clusterapi

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/durable"
)

// kubeconfigKey is the key of a kubeconfig in Cluster API's secret.
const kubeconfigKey = "value"

// WriteKubeconfig writes the kubeconfig of a cluster's administrator to a file
// that only its owner reads. It is there as soon as the first control plane
// machine is described; ErrNoKubeconfig says that it is not yet.
func (m *Management) WriteKubeconfig(ctx context.Context, cluster, path string) error {
	secret := &corev1.Secret{}
	err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: cluster + "-kubeconfig"}, secret)
	if apierrors.IsNotFound(err) || err == nil && len(secret.Data[kubeconfigKey]) == 0 {
		return fmt.Errorf("cluster %s: %w", cluster, ErrNoKubeconfig)
	}
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of cluster %s: %w", cluster, err)
	}
	return durable.WriteFile(path, secret.Data[kubeconfigKey], 0o600)
}

// ErrNoKubeconfig means: a cluster has no kubeconfig yet.
var ErrNoKubeconfig = errors.New("there is no kubeconfig yet")
