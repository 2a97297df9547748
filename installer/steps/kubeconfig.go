package steps

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/durable"
)

// renewKubeconfig brings the administrator's kubeconfig on this host up to date.
// Its certificate lasts a year, and Cluster API makes another in the cluster.
type renewKubeconfig struct{ *Installation }

// Name implements step.Step.
func (*renewKubeconfig) Name() string { return "renew the kubeconfig on this host" }

// Check implements step.Step.
func (s *renewKubeconfig) Check(ctx context.Context) (step.Status, error) {
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no cluster yet"}, err
	}
	renewed, err := s.renewed(ctx)
	if err != nil {
		return step.Status{}, err
	}
	if renewed != nil {
		return step.Status{Detail: "the cluster has another"}, nil
	}
	return step.Status{Done: true, Detail: s.Kubeconfig()}, nil
}

// renewed returns the administrator's kubeconfig where it is another than that of
// this host; nil where that is good, and where it is none of the administrator's,
// as in the cluster itself.
func (s *renewKubeconfig) renewed(ctx context.Context) ([]byte, error) {
	here, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range here.AuthInfos {
		if len(user.ClientCertificateData) == 0 {
			return nil, nil
		}
	}
	there, err := s.own.ClusterKubeconfig(ctx, s.Site.Spec.Cluster.Name)
	if err != nil || there == nil {
		return nil, err
	}
	if old, err := os.ReadFile(s.Kubeconfig()); err != nil || bytes.Equal(old, there) {
		return nil, err
	}
	return there, nil
}

// Apply implements step.Step.
func (s *renewKubeconfig) Apply(ctx context.Context, _ step.Say) error {
	config, err := s.renewed(ctx)
	if err != nil || config == nil {
		return err
	}
	return s.saveKubeconfig(config)
}

// saveKubeconfig keeps the administrator's kubeconfig. What was connected by
// an older one is forgotten.
func (in *Installation) saveKubeconfig(config []byte) error {
	if old, err := os.ReadFile(in.Kubeconfig()); err == nil && bytes.Equal(old, config) {
		return nil
	}
	in.own = nil
	if err := durable.WriteFile(in.Kubeconfig(), config, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}
