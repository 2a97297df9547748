package steps

import (
	"context"
	"fmt"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/mirror"
)

// fill fills the registry from the bundle.
type fill struct{ *Installation }

// Name implements step.Step.
func (*fill) Name() string { return "fill the registry" }

// Check implements step.Step.
func (s *fill) Check(ctx context.Context) (step.Status, error) {
	r, err := s.push(ctx, mirror.PushOptions{DryRun: true})
	if err != nil {
		return step.Status{}, err
	}
	left := r.Blobs.Sent + r.Blobs.Mounted + r.Manifests.Sent
	if left > 0 {
		return step.Status{Detail: fmt.Sprintf("%d of %d blobs and manifests are missing", left, left+r.Blobs.There+r.Manifests.There)}, nil
	}
	kept, err := mirror.HasHead(ctx, s.Bundle, s.Registry, s.Site.Spec.Registry.Endpoint, s.mapping)
	if !kept || err != nil {
		return step.Status{Detail: "the bundle's own head is missing"}, err
	}
	return step.Status{Done: true, Detail: fmt.Sprintf("%d images and artifacts in %s", len(r.Images), s.Site.Spec.Registry.Endpoint)}, nil
}

// Apply implements step.Step.
func (s *fill) Apply(ctx context.Context, say step.Say) error {
	say("sending to %s", s.Site.Spec.Registry.Endpoint)
	if _, err := s.push(ctx, mirror.PushOptions{Progress: s.Progress}); err != nil {
		return err
	}
	return mirror.KeepHead(ctx, s.Bundle, s.Registry, s.Site.Spec.Registry.Endpoint, s.mapping)
}

// Plan implements step.Planner.
func (s *fill) Plan(context.Context) (step.Plan, error) {
	st := s.Bundle.Statement()
	return step.Plan{Actions: []string{fmt.Sprintf("push %d images and artifacts of %s %s to %s/%s", len(st.Roots), st.Name, st.Version,
		s.Site.Spec.Registry.Endpoint, s.Site.Spec.Registry.Prefix)}}, nil
}

func (s *fill) push(ctx context.Context, opts mirror.PushOptions) (*mirror.PushResult, error) {
	return mirror.Push(ctx, []*archive.Reader{s.Bundle}, s.Registry, s.Site.Spec.Registry.Endpoint, s.mapping, opts)
}
