package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// ErrPack means: a pack, or the packs together, do not hold to the format.
var ErrPack = errors.New("not a good pack")

// pack resolves a pack and finds out what it needs at its presets and values.
func (s *session) pack(ctx context.Context, p definition.Pack) (*item, error) {
	it, pack, err := s.openPack(ctx, p)
	if err == nil {
		s.open(pack)
		it.packs = append(it.packs, pack)
		err = s.lookThroughPack(ctx, it, p, pack)
	}
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", p.Path+p.Ref, err)
	}
	return it, nil
}

// openPack gets a pack and makes it a root.
func (s *session) openPack(ctx context.Context, p definition.Pack) (*item, *packs.Pack, error) {
	if p.Ref != "" {
		it, err := s.image(ctx, definition.Image{Ref: strings.TrimPrefix(p.Ref, definition.OCIPrefix)}, archive.RootPack)
		if err != nil {
			return nil, nil, err
		}
		_, from, err := it.manifest()
		if err != nil {
			return nil, nil, err
		}
		pack, err := packs.FromArtifact(ctx, from, it.roots[0].Descriptor)
		return it, pack, err
	}
	pack, err := packs.Open(ctx, s.def.Path(p.Path))
	if err != nil {
		return nil, nil, err
	}
	it := &item{}
	if err := it.placePack(ctx, p, pack); err != nil {
		return nil, nil, errors.Join(err, pack.Close())
	}
	return it, pack, nil
}

func (it *item) placePack(ctx context.Context, p definition.Pack, pack *packs.Pack) error {
	if err := lintErrors(pack.Problems()); err != nil {
		return problem.WithRemedy(err, "sealift pack lint "+p.Path+" shows all of it")
	}
	a, err := pack.Artifact(ctx)
	if err != nil {
		return err
	}
	ref, err := tagged(localHost, pack.Repository(), pack.Tag())
	if err != nil {
		return err
	}
	return it.place(archive.RootPack, p.Path, ref, a.Artifact, Origin{Name: "pack " + p.Path, From: a})
}

// lintErrors returns the problems that are errors as one.
func lintErrors(problems []packs.Problem) error {
	var faults []error
	for _, p := range problems {
		if p.Severity == packs.SeverityError {
			faults = append(faults, fmt.Errorf("%w: %s: %s", ErrPack, p.Where, p.Text))
		}
	}
	return errors.Join(faults...)
}

func (s *session) lookThroughPack(ctx context.Context, it *item, p definition.Pack, pack *packs.Pack) error {
	settings, err := s.packSettings(p, pack)
	if err != nil {
		return err
	}
	for _, set := range settings.Sets {
		if err := lintErrors(pack.CheckValues(set.YAML)); err != nil {
			return err
		}
	}
	if it.found, err = closure.Pack(ctx, pack, settings, true); err != nil {
		return err
	}
	it.roots[0].Needs = closure.Needs(it.found)
	return it.attachSettings(settings)
}

// packSettings merges presets, then values files, over the pack's own values.
// The pack's own values alone need not travel twice.
func (s *session) packSettings(p definition.Pack, pack *packs.Pack) (closure.Settings, error) {
	out := closure.Settings{KubeVersion: s.def.Spec.Kubernetes.Version, APIVersions: s.def.Spec.Kubernetes.APIVersions}
	add := func(name string, presets, files []string) error {
		merged, err := pack.Merged(presets)
		if err == nil {
			merged, err = s.mergePackValues(merged, files)
		}
		if err != nil && name != "" {
			err = fmt.Errorf("variant %s: %w", name, err)
		}
		out.Sets = append(out.Sets, closure.Set{Name: name, YAML: merged})
		return err
	}
	if len(p.Presets)+len(p.Values)+len(p.Variants) > 0 {
		if err := add("", p.Presets, p.Values); err != nil {
			return out, err
		}
	}
	for _, v := range p.Variants {
		presets := p.Presets
		if len(v.Presets) > 0 {
			presets = v.Presets
		}
		if err := add(v.Name, presets, append(append([]string{}, p.Values...), v.Values...)); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *session) mergePackValues(base []byte, files []string) ([]byte, error) {
	if len(files) == 0 {
		return base, nil
	}
	all := [][]byte{base}
	for _, f := range files {
		data, err := content.ReadFile(s.def.Path(f), maxValues)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		all = append(all, data)
	}
	return packs.MergeValues(all...)
}

// solve checks the constraints of all packs together.
func solve(items []*item) error {
	var all []*packs.Pack
	for _, it := range items {
		all = append(all, it.packs...)
	}
	if err := lintErrors(packs.Solve(all)); err != nil {
		return fmt.Errorf("the packs do not go together: %w", err)
	}
	return nil
}

// open notes what has to be closed when nothing is fetched from it any more.
func (s *session) open(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, c)
}
