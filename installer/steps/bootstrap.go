package steps

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/step"
)

// newBootstrap chooses the bootstrap control plane.
func (in *Installation) newBootstrap() bootstrap.Bootstrap {
	dir := filepath.Join(in.Dir, "bootstrap")
	images := in.Release.Spec.Images
	in.local = bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Etcd: images.Etcd, APIServer: images.APIServer,
		Programs: bootstrap.NewImagePrograms(in.Release.Fetcher(), in.Release.Descriptors(), filepath.Join(dir, "bin"))})
	return in.local
}

// startBootstrap starts the control plane that the cluster is built from.
type startBootstrap struct{ *Installation }

// Name implements step.Step.
func (*startBootstrap) Name() string { return "start the bootstrap control plane" }

// Check implements step.Step.
func (s *startBootstrap) Check(ctx context.Context) (step.Status, error) {
	if done, err := s.pivoted(ctx); err != nil || done {
		return managesItself(), err
	}
	return step.Status{Done: s.first != nil, Detail: "etcd and kube-apiserver on this host"}, nil
}

// Apply implements step.Step.
func (s *startBootstrap) Apply(ctx context.Context, say step.Say) error {
	say("etcd and kube-apiserver")
	config, err := s.boot.Start(ctx)
	if err != nil {
		return err
	}
	s.first, err = clusterapi.Connect(ctx, config.Path)
	return err
}

// Plan implements step.Planner.
func (s *startBootstrap) Plan(context.Context) (step.Plan, error) {
	images := s.Release.Spec.Images
	return step.Plan{Actions: []string{fmt.Sprintf("run etcd and kube-apiserver on this host, taken from %s and %s", images.Etcd, images.APIServer)}}, nil
}
