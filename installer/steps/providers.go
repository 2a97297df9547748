package steps

import (
	"context"
	"fmt"
	"strings"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/step"
)

// providers reads the providers of the release.
func (in *Installation) providers(ctx context.Context) ([]*clusterapi.Provider, error) {
	var out []*clusterapi.Provider
	for _, p := range in.Release.Spec.Providers {
		data, err := in.Release.Components(ctx, p)
		if err != nil {
			return nil, err
		}
		provider, err := clusterapi.ParseProvider(p, data)
		if err != nil {
			return nil, err
		}
		out = append(out, provider)
	}
	return out, nil
}

func (in *Installation) providerNames() string {
	var out []string
	for _, p := range in.Release.Spec.Providers {
		out = append(out, clusterapi.Label(p)+" "+p.Version)
	}
	return strings.Join(out, ", ")
}

// bootstrapProviders runs Cluster API on the bootstrap control plane.
type bootstrapProviders struct {
	*Installation
	running bool // in this run: processes end with it
}

// Name implements step.Step.
func (*bootstrapProviders) Name() string { return "start Cluster API" }

// Check implements step.Step.
func (s *bootstrapProviders) Check(ctx context.Context) (step.Status, error) {
	if done, err := s.pivoted(ctx); err != nil || done {
		return managesItself(), err
	}
	return step.Status{Done: s.running, Detail: s.providerNames()}, nil
}

// Apply implements step.Step.
func (s *bootstrapProviders) Apply(ctx context.Context, say step.Say) error {
	providers, err := s.providers(ctx)
	if err != nil {
		return err
	}
	say("%s", s.providerNames())
	opts := clusterapi.ApplyOptions{}
	if s.local != nil {
		opts.Local = clusterapi.NewLocalManagers(s.local)
	}
	if err := s.first.ApplyProviders(ctx, providers, opts); err != nil {
		return err
	}
	s.running = true
	return nil
}

// Plan implements step.Planner.
func (s *bootstrapProviders) Plan(context.Context) (step.Plan, error) {
	return step.Plan{Actions: []string{"run " + s.providerNames()}}, nil
}

// ownProviders runs Cluster API in the cluster.
type ownProviders struct{ *Installation }

// Name implements step.Step.
func (*ownProviders) Name() string { return "install Cluster API in the cluster" }

// Check implements step.Step.
func (s *ownProviders) Check(ctx context.Context) (step.Status, error) {
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no cluster yet"}, err
	}
	installed, err := own.InstalledProviders(ctx)
	if err != nil {
		return step.Status{}, err
	}
	for _, p := range s.Release.Spec.Providers {
		if version := installed[clusterapi.Label(p)]; version != p.Version {
			return step.Status{Detail: fmt.Sprintf("%s %s is not there", clusterapi.Label(p), p.Version)}, nil
		}
	}
	return step.Status{Done: true, Detail: s.providerNames()}, nil
}

// Apply implements step.Step.
func (s *ownProviders) Apply(ctx context.Context, say step.Say) error {
	providers, err := s.providers(ctx)
	if err != nil {
		return err
	}
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	say("%s", s.providerNames())
	return own.ApplyProviders(ctx, providers, clusterapi.ApplyOptions{Image: clusterapi.RegistryImages(s.Site.Spec.Registry.Endpoint, s.mapping)})
}

// Plan implements step.Planner.
func (s *ownProviders) Plan(context.Context) (step.Plan, error) {
	return step.Plan{Actions: []string{"install " + s.providerNames() + " in the cluster, with images of " + s.Site.Spec.Registry.Endpoint}}, nil
}

// pivot moves the objects of the cluster into the cluster.
type pivot struct{ *Installation }

// Name implements step.Step.
func (*pivot) Name() string { return "pivot: the cluster takes itself over" }

// Check implements step.Step.
func (s *pivot) Check(ctx context.Context) (step.Status, error) {
	done, err := s.pivoted(ctx)
	return step.Status{Done: done, Detail: "Cluster " + s.Site.Spec.Cluster.Name + " is in the cluster"}, err
}

// Apply implements step.Step.
func (s *pivot) Apply(ctx context.Context, say step.Say) error {
	say("moving the objects of cluster %s", s.Site.Spec.Cluster.Name)
	return clusterapi.Move(ctx, s.first, s.own, s.Site.Spec.Cluster.Name)
}

// Plan implements step.Planner.
func (s *pivot) Plan(context.Context) (step.Plan, error) {
	return step.Plan{Actions: []string{"move the objects of cluster " + s.Site.Spec.Cluster.Name + " from this host into the cluster"}}, nil
}

// removeBootstrap takes the bootstrap control plane away.
type removeBootstrap struct{ *Installation }

// Name implements step.Step.
func (*removeBootstrap) Name() string { return "remove the bootstrap control plane" }

// Check implements step.Step.
func (s *removeBootstrap) Check(ctx context.Context) (step.Status, error) {
	there, err := s.boot.Exists(ctx)
	return step.Status{Done: !there, Detail: "nothing is left on this host"}, err
}

// Apply implements step.Step.
func (s *removeBootstrap) Apply(ctx context.Context, _ step.Say) error {
	s.first = nil
	return s.boot.Remove(ctx)
}

// Plan implements step.Planner.
func (s *removeBootstrap) Plan(context.Context) (step.Plan, error) {
	return step.Plan{Actions: []string{"remove the bootstrap control plane from this host"}}, nil
}
