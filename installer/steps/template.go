package steps

import (
	"cmp"
	"context"
	"fmt"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/template"
)

// importTemplate makes the template of the nodes.
type importTemplate struct{ *Installation }

// Name implements step.Step.
func (*importTemplate) Name() string { return "import the node template" }

// Check implements step.Step.
func (s *importTemplate) Check(ctx context.Context) (step.Status, error) {
	ova, err := s.Release.Template(ctx)
	if err != nil {
		return step.Status{}, err
	}
	state, err := template.Look(ctx, s.VCenter.Vim(), s.place())
	if err != nil {
		return step.Status{}, err
	}
	path := s.place().Path()
	switch {
	case !state.Exists:
		return step.Status{Detail: path + " is not there"}, nil
	case state.Ready && state.Digest == "": // the site's own, which preflight has checked
		return step.Status{Done: true, Detail: path + ", made by others"}, nil
	default:
		return step.Status{Done: state.Ready && state.Digest == ova.Descriptor.Digest, Detail: path}, nil
	}
}

// Apply implements step.Step.
func (s *importTemplate) Apply(ctx context.Context, say step.Say) error {
	file, err := s.Release.Template(ctx)
	if err != nil {
		return err
	}
	source, err := s.Bundle.Section(file.Descriptor.Digest)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file.Name, err)
	}
	ova, err := template.Read(source, file.Descriptor.Size)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name, err)
	}
	say("uploading %s to %s", file.Name, s.placement.Datastore.Path)
	return s.pastRestarts(ctx, say, func(ctx context.Context) error {
		return template.Import(ctx, s.VCenter.Vim(), s.place(), ova, file.Descriptor.Digest, template.Options{Progress: s.Progress})
	})
}

// Plan implements step.Planner.
func (s *importTemplate) Plan(ctx context.Context) (step.Plan, error) {
	file, err := s.Release.Template(ctx)
	if err != nil {
		return step.Plan{}, err
	}
	return step.Plan{Actions: []string{fmt.Sprintf("import %s (%d bytes) as template %s on %s", file.Name, file.Descriptor.Size, s.place().Path(), s.placement.Datastore.Path)}}, nil
}

// templateName is the name of the template: the site's, else the release's.
func (in *Installation) templateName() string {
	return cmp.Or(in.Site.Spec.Cluster.Template, in.Release.Spec.Template.Name)
}

func (in *Installation) place() template.Place {
	p := in.placement
	return template.Place{Name: in.templateName(), Datacenter: p.Datacenter.Lookup, Folder: p.TemplateFolder.Lookup, Pool: p.ResourcePool.Lookup,
		Datastore: p.Datastore.Lookup, Network: p.Network.Lookup}
}
