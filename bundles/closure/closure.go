// Package closure finds out what charts, packs and manifests need, and proves
// that a bundle has it. The same code does it when a bundle is made and when it
// is verified, from nothing but what the bundle carries.
package closure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

// Needs returns what a report asks for, each image and chart once, with the
// first place that names it. What is only possible is not asked for.
func Needs(report discovery.Report) []archive.Need {
	var out []archive.Need
	for _, f := range report.Found {
		if f.Certainty == discovery.Certain || f.Certainty == discovery.Likely {
			out = append(out, archive.Need{Kind: archive.RootImage, Reference: f.Reference, Certainty: string(f.Certainty), Where: place(f.Source, f.Object, f.Path)})
		}
	}
	for _, c := range report.Charts {
		out = append(out, archive.Need{Kind: archive.RootChart, Reference: chartReference(c), Certainty: string(discovery.Certain), Where: place(c.Source, c.Object, c.Path)})
	}
	slices.SortStableFunc(out, func(a, b archive.Need) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Certainty, b.Certainty), cmp.Compare(a.Where, b.Where))
	})
	return slices.CompactFunc(out, func(a, b archive.Need) bool { return a.Kind == b.Kind && a.Reference == b.Reference })
}

func place(source, object, path string) string {
	return strings.Join(slices.DeleteFunc([]string{source, object, path}, func(s string) bool { return s == "" }), " ")
}

// chartReference names a chart as people do: REPOSITORY NAME VERSION.
func chartReference(c discovery.ChartNeed) string {
	return strings.Join(slices.DeleteFunc([]string{c.Repo, c.Name, c.Version}, func(s string) bool { return s == "" }), " ")
}

// Describe says who needs something.
func Describe(n archive.Need) string {
	return fmt.Sprintf("needed (%s) by %s", n.Certainty, n.Where)
}

// Unmet returns the needs that no root meets and no pattern allows to be missing.
func Unmet(needs []archive.Need, roots []archive.Root, allowed []archive.Allowance) []archive.Need {
	return index(roots).unmet(needs, allowed)
}

func (h holdings) unmet(needs []archive.Need, allowed []archive.Allowance) []archive.Need {
	return slices.DeleteFunc(slices.Clone(needs), func(n archive.Need) bool {
		return h.meets(n) || slices.ContainsFunc(allowed, func(a archive.Allowance) bool { return definition.Matches(a.Match, Subject(n)) })
	})
}

// Subject returns what a pattern of allowMissing is compared with: a repository
// without tag, or a chart's name.
func Subject(n archive.Need) string {
	if n.Kind == archive.RootChart {
		return n.Reference
	}
	if named, err := reference.ParseNormalizedNamed(n.Reference); err == nil {
		return named.Name()
	}
	return n.Reference
}

// holdings are the roots by what can be asked of them.
type holdings struct {
	references map[string]bool        // of all roots but charts
	digests    map[string]bool        // REPOSITORY@DIGEST
	charts     map[string][]chartName // by name
}

type chartName struct{ version, reference string }

func index(roots []archive.Root) holdings {
	h := holdings{references: map[string]bool{}, digests: map[string]bool{}, charts: map[string][]chartName{}}
	for _, r := range roots {
		named, err := reference.ParseNormalizedNamed(r.Reference)
		if err != nil {
			continue
		}
		h.references[r.Reference] = true
		h.digests[named.Name()+"@"+r.Descriptor.Digest.String()] = true
		if t, ok := named.(reference.Tagged); ok && r.Kind == archive.RootChart {
			name := named.Name()[strings.LastIndex(named.Name(), "/")+1:]
			h.charts[name] = append(h.charts[name], chartName{strings.ReplaceAll(t.Tag(), "_", "+"), r.Reference})
		}
	}
	return h
}

func (h holdings) meets(n archive.Need) bool {
	if n.Kind == archive.RootChart {
		return h.hasChart(n.Reference)
	}
	if h.references[n.Reference] {
		return true
	}
	named, err := reference.ParseNormalizedNamed(n.Reference)
	if err != nil {
		return false
	}
	d, ok := named.(reference.Digested)
	return ok && h.digests[named.Name()+"@"+d.Digest().String()]
}

// hasChart tells whether a chart is there, by name and version or range. Where
// it came from does not matter: the dark site has one registry.
func (h holdings) hasChart(need string) bool {
	fields := strings.Fields(need)
	for i, name := range fields {
		name = name[strings.LastIndex(name, "/")+1:]
		for _, c := range h.charts[name] {
			if charts.InRange(strings.Join(fields[i+1:], " "), c.version) {
				return true
			}
		}
	}
	return false
}

// ErrMissing means: something carried needs what the bundle does not have.
var ErrMissing = errors.New("needed, but not in the bundle")

// Missing fails with ErrMissing when a root's needs are not met. It names each.
func Missing(roots []archive.Root, allowed []archive.Allowance) error {
	have := index(roots)
	var faults []error
	for _, r := range roots {
		for _, n := range have.unmet(r.Needs, allowed) {
			faults = append(faults, fault(r, n))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return problem.WithRemedy(errors.Join(faults...), "list it under images: or charts:, or under allowMissing: with the reason why it is never used")
}

func fault(r archive.Root, n archive.Need) error {
	return fmt.Errorf("%s %s needs the %s %s (%s, %s): %w", r.Kind, r.Reference, n.Kind, n.Reference, n.Certainty, n.Where, ErrMissing)
}
