package sbom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/alpine"
	"github.com/anchore/syft/syft/pkg/cataloger/javascript"
	"github.com/anchore/syft/syft/pkg/cataloger/python"
	"github.com/anchore/syft/syft/pkg/cataloger/ruby"
	"github.com/anchore/syft/syft/pkg/cataloger/rust"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/progress"
)

// catalogers are those that look at what is installed, not at what a source
// would install. None asks a network.
func catalogers(tempDir string) []pkg.Cataloger {
	return []pkg.Cataloger{
		alpine.NewDBCataloger(),
		debianCataloger(),
		rpmCataloger(tempDir),
		goCataloger(),
		javaCataloger(),
		javascript.NewPackageCataloger(),
		python.NewInstalledPackageCataloger(),
		ruby.NewInstalledGemSpecCataloger(),
		rust.NewAuditBinaryCataloger(),
	}
}

// fill gives every image of an inventory its packages: those that it declares,
// else those that are found in its layers.
func fill(ctx context.Context, b Bundle, inv *inventory, opts Options) (warnings []string, err error) {
	var scans []*component
	for _, c := range inv.all() {
		if c.source == sourceBase {
			warnings = append(warnings, c.reference+": "+inBase)
		}
		if !c.image {
			continue
		}
		packs, used, more, err := declaredPackages(ctx, b, inv.declared, c)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
		if len(used) > 0 {
			c.source, c.packages = sourceDeclared(used), normalize(packs)
		} else {
			scans = append(scans, c)
		}
	}
	more, err := scanAll(ctx, b, scans, opts)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, more...)
	slices.Sort(warnings)
	return slices.Compact(warnings), nil
}

// scanAll scans images one after the other, the same image under two names once.
func scanAll(ctx context.Context, b Bundle, images []*component, opts Options) (warnings []string, err error) {
	s := scanner{catalogers: catalogers(opts.TempDir)}
	s.layers = &layerReader{bundle: b, limits: defaultLimits(), tempDir: opts.TempDir, uses: map[digest.Digest]int{}, open: map[digest.Digest]*layer{}}
	defer s.layers.close()
	if s.layers.wanted, err = wantedBy(ctx, s.catalogers); err != nil {
		return nil, err
	}
	var total int64
	first := map[digest.Digest]*component{}
	for _, c := range images {
		if first[c.desc.Digest] != nil {
			continue
		}
		first[c.desc.Digest] = c
		for _, d := range c.layers {
			if s.layers.use(d) && isLayer(d.MediaType) {
				total += d.Size
			}
		}
	}
	s.layers.phase = progress.OrNone(opts.Progress).Start("reading images", total)
	defer s.layers.phase.Done()
	for _, c := range images {
		if f := first[c.desc.Digest]; f != c {
			c.source, c.packages = f.source, f.packages
			continue
		}
		more, err := s.scan(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.reference, err)
		}
		for _, w := range more {
			warnings = append(warnings, c.reference+": "+w)
		}
	}
	return warnings, nil
}

// scanner looks for packages in images.
type scanner struct {
	catalogers []pkg.Cataloger
	layers     *layerReader
}

// scan reads the layers of an image and looks for packages in them.
func (s *scanner) scan(ctx context.Context, c *component) (warnings []string, err error) {
	t := newTree()
	for i, d := range c.layers {
		defer s.layers.done(d)
		if !isLayer(d.MediaType) {
			warnings = append(warnings, fmt.Sprintf("layer %s is of the type %s, which is not read", d.Digest, printable(d.MediaType)))
			continue
		}
		l, err := s.layers.layer(ctx, d)
		if errors.Is(err, content.ErrNotFound) {
			c.source = sourceBase
			return append(warnings, inBase), nil
		}
		if err != nil {
			return nil, err
		}
		t.put(l, i)
	}
	t.finish()
	c.source = sourceScanned
	r := &resolver{ctx: ctx, tree: t, layers: c.layers}
	var packs []pack
	for _, cat := range s.catalogers {
		found, err := catalog(ctx, cat, r)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			warnings = append(warnings, cat.Name()+": "+firstLine(err))
		}
		packs = append(packs, found...)
	}
	c.packages = normalize(packs)
	return warnings, nil
}

// isLayer tells whether a media type is that of files in a tar file.
func isLayer(t string) bool {
	return strings.HasPrefix(t, "application/vnd.oci.image.layer.") && !strings.HasSuffix(t, "+encrypted") ||
		strings.HasPrefix(t, "application/vnd.docker.image.rootfs.diff.tar")
}

// catalog runs one cataloger. Many parse what anyone may have written: a panic
// of theirs is an error.
func catalog(ctx context.Context, c pkg.Cataloger, r *resolver) (out []pack, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the cataloger failed: %v", p)
		}
	}()
	found, _, err := c.Catalog(ctx, r)
	for _, p := range found {
		out = append(out, packFrom(p))
	}
	return out, err
}

// packFrom turns a package of syft into one of ours.
func packFrom(p pkg.Package) pack {
	out := pack{kind: string(p.Type), name: p.Name, version: p.Version, purl: p.PURL}
	for _, l := range p.Licenses.ToSlice() {
		switch {
		case l.SPDXExpression != "":
			out.licenses = append(out.licenses, license{expression: l.SPDXExpression})
		case l.Contents != "":
			out.licenses = append(out.licenses, fromText(l.Contents)...)
		default:
			out.licenses = append(out.licenses, fromName(l.Value, ""))
		}
	}
	return out
}

// normalize sorts packages, each once, and makes their texts printable.
func normalize(packs []pack) []pack {
	for i := range packs {
		p := &packs[i]
		p.name, p.version, p.purl = printable(p.name), printable(p.version), printable(p.purl)
		p.licenses = tidy(p.licenses)
	}
	packs = slices.DeleteFunc(packs, func(p pack) bool { return p.name == "" })
	slices.SortFunc(packs, comparePacks)
	return slices.CompactFunc(packs, func(a, b pack) bool { return a.id() == b.id() })
}

// printable drops what would act on a terminal or break a table.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return printable(line)
}
