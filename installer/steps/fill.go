package steps

import (
	"context"
	"fmt"
	"strings"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

// fill fills the registry from the bundle.
type fill struct{ *Installation }

// Name implements step.Step.
func (*fill) Name() string { return "fill the registry" }

// Check implements step.Step.
func (s *fill) Check(ctx context.Context) (step.Status, error) {
	missing, err := s.missingProjects(ctx)
	if err != nil || len(missing) > 0 {
		return step.Status{Detail: "Harbor has no project " + strings.Join(missing, ", ")}, err
	}
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
	missing, err := s.missingProjects(ctx)
	if err != nil {
		return err
	}
	for _, project := range missing {
		say("making the project %s in Harbor", project)
		if err := s.Registry.MakeHarborProject(ctx, s.Site.Spec.Registry.Endpoint, project); err != nil {
			return err
		}
	}
	say("sending to %s", s.Site.Spec.Registry.Endpoint)
	return s.untilBack(ctx, "the registry", say, func(ctx context.Context) error {
		if _, err := s.push(ctx, mirror.PushOptions{Progress: s.Progress}); err != nil { // it goes on with what is missing
			return err
		}
		return mirror.KeepHead(ctx, s.Bundle, s.Registry, s.Site.Spec.Registry.Endpoint, s.mapping)
	})
}

// missingProjects returns the projects that a Harbor does not have yet; none of
// any other registry. It fails when this user cannot make them.
func (s *fill) missingProjects(ctx context.Context) ([]string, error) {
	var out []string
	for _, project := range mirror.Projects(s.Bundle, s.mapping) {
		found, err := s.Registry.HarborProject(ctx, s.Site.Spec.Registry.Endpoint, project)
		switch {
		case err != nil:
			return nil, err
		case found == nil:
			return nil, nil // it is no Harbor
		case found.Exists:
		case found.Creatable:
			out = append(out, project)
		default:
			return nil, problem.New(problem.Failed, "ask an administrator of Harbor to make it, and to give this user the right to push",
				"Harbor at %s has no project %s, or does not show it, and this user may not make it", s.Site.Spec.Registry.Endpoint, project)
		}
	}
	return out, nil
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
