package closure

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/discovery"
)

// Prove looks through every chart, pack and manifest that a bundle carries, at
// the values that travel with it, and returns a fault for everything needed
// that is not there. What a delta leaves to its base is taken from its
// statement. The error is for when it could not look.
func Prove(ctx context.Context, r *archive.Reader) (faults []error, err error) {
	s := r.Statement()
	p := prover{r: r, have: index(s.Roots), settings: map[digest.Digest]archive.Root{}, delta: len(s.FromBase) > 0}
	for _, root := range s.Roots {
		if root.Kind == archive.RootValues {
			p.settings[root.Subject] = root
		}
	}
	for _, root := range s.Roots {
		if err := p.prove(ctx, root); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			p.faults = append(p.faults, fmt.Errorf("looking through %s %s: %w", root.Kind, root.Reference, err))
		}
	}
	return p.faults, nil
}

type prover struct {
	r        *archive.Reader
	have     holdings
	settings map[digest.Digest]archive.Root // by subject
	delta    bool
	faults   []error
}

func (p *prover) prove(ctx context.Context, root archive.Root) error {
	report, err := p.look(ctx, root)
	if err != nil && (!p.delta || !errors.Is(err, content.ErrNotFound)) {
		return err
	}
	seen := map[string]bool{}
	for _, n := range p.have.unmet(append(Needs(report), root.Needs...), p.r.Statement().AllowMissing) {
		if key := n.Kind + " " + n.Reference; !seen[key] {
			seen[key] = true
			p.faults = append(p.faults, fault(root, n))
		}
	}
	return nil
}

// look looks through one root, as it was done when the bundle was made.
func (p *prover) look(ctx context.Context, root archive.Root) (discovery.Report, error) {
	switch root.Kind {
	case archive.RootChart, archive.RootPack, archive.RootManifests:
	default:
		return discovery.Report{}, nil
	}
	m, err := p.manifest(ctx, root)
	if err != nil {
		return discovery.Report{}, err
	}
	settings, err := p.settingsOf(ctx, root)
	if err != nil {
		return discovery.Report{}, err
	}
	switch root.Kind {
	case archive.RootChart:
		c, err := charts.Fetch(ctx, p.r, m)
		if err != nil {
			return discovery.Report{}, err
		}
		return Chart(ctx, c, settings, false)
	case archive.RootManifests:
		files, err := layerFiles(ctx, p.r, m)
		if err != nil {
			return discovery.Report{}, err
		}
		return Manifests(files)
	default:
		return p.pack(ctx, root, settings)
	}
}

func (p *prover) manifest(ctx context.Context, root archive.Root) (*content.Manifest, error) {
	d, data, err := p.r.Document(ctx, root.Descriptor.Digest)
	if err != nil {
		return nil, err
	}
	return content.ParseManifest(d, data)
}

func (p *prover) settingsOf(ctx context.Context, root archive.Root) (Settings, error) {
	values, ok := p.settings[root.Descriptor.Digest]
	if !ok {
		return Settings{}, nil
	}
	m, err := p.manifest(ctx, values)
	if err != nil {
		return Settings{}, err
	}
	return ReadSettings(ctx, p.r, m)
}

// maxManifest is the largest plain manifest that is read, in bytes.
const maxManifest = 5 << 20

// layerFiles reads the layers of an artifact by their titles.
func layerFiles(ctx context.Context, from content.Fetcher, m *content.Manifest) (Files, error) {
	files := Files{}
	for _, l := range m.Layers {
		data, err := content.ReadAll(ctx, from, l, maxManifest)
		if err != nil {
			return nil, err
		}
		files[l.Annotations["org.opencontainers.image.title"]] = data
	}
	return files, nil
}
