// Package bootstraptest checks what every bootstrap control plane promises.
package bootstraptest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/sealift/sealift/installer/bootstrap"
)

// Run checks the control planes that open returns. Each call of open stands for
// a run of the program: it returns the same control plane as it would be found then.
func Run(t *testing.T, open func(t *testing.T) bootstrap.Bootstrap) {
	t.Run("removing what is not there does nothing", func(t *testing.T) {
		require.NoError(t, open(t).Remove(t.Context()))
	})
	t.Run("a second run goes on", func(t *testing.T) { goesOn(t, open) })
	t.Run("removing takes the objects away", func(t *testing.T) {
		b := open(t)
		config, err := b.Start(t.Context())
		require.NoError(t, err)
		write(t, config, "gone")
		require.NoError(t, b.Remove(t.Context()))
		b = open(t)
		t.Cleanup(func() { require.NoError(t, b.Remove(context.WithoutCancel(t.Context()))) })
		config, err = b.Start(t.Context())
		require.NoError(t, err)
		_, err = connect(t, config).CoreV1().ConfigMaps("default").Get(t.Context(), "gone", metav1.GetOptions{})
		require.True(t, apierrors.IsNotFound(err), err)
	})
	t.Run("a start that is canceled ends promptly", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := open(t)
		began := time.Now()
		_, err := b.Start(ctx)
		require.Error(t, err)
		require.Less(t, time.Since(began), 20*time.Second)
		require.NoError(t, b.Remove(t.Context()))
	})
}

func goesOn(t *testing.T, open func(t *testing.T) bootstrap.Bootstrap) {
	first := open(t)
	config, err := first.Start(t.Context())
	require.NoError(t, err)
	write(t, config, "kept")
	again, err := first.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, config.Path, again.Path, "starting what runs changes nothing")
	require.NoError(t, first.Stop(t.Context()))
	require.NoError(t, first.Stop(t.Context()), "stopping twice is the same as once")

	second := open(t)
	config, err = second.Start(t.Context())
	require.NoError(t, err)
	kept, err := connect(t, config).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", kept.Data["value"])
	require.NoError(t, second.Remove(t.Context()))
	require.NoError(t, second.Remove(t.Context()), "removing twice is the same as once")
}

func connect(t *testing.T, k *bootstrap.Kubeconfig) *kubernetes.Clientset {
	t.Helper()
	config, err := k.REST()
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

func write(t *testing.T, k *bootstrap.Kubeconfig, name string) {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": "1"}}
	_, err := connect(t, k).CoreV1().ConfigMaps("default").Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err)
}
