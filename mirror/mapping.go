package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/internal/problem"
)

// Mapping says in which repository of a registry the images of a source
// repository are. Without rules the source's host is left out and its path
// kept (docker.io/library/nginx is library/nginx), because that is what a
// container engine asks a mirror for; the base comes before it.
type Mapping struct {
	base  string
	rules []Rule // the longest source first
}

// Rule replaces the beginning of a repository's full name.
type Rule struct {
	Source string // a host, or a host and a path
	Target string // what stands there instead, within the base; may be empty
}

// ErrCollision means: two images of different content have one place.
var ErrCollision = errors.New("two images have the same place in the registry")

// ParseMapping makes a mapping. base is a path prefix for every repository, or
// "". Each rule, SOURCE=TARGET, replaces the beginning of a repository's full
// name, a host or a host and path, with TARGET, which may be empty; the
// longest SOURCE that fits wins. What no registry would take is refused.
func ParseMapping(base string, rules []string) (*Mapping, error) {
	m := &Mapping{base: strings.Trim(base, "/")}
	if err := checkPath("the prefix", base, m.base); err != nil {
		return nil, err
	}
	for _, text := range rules {
		source, target, ok := strings.Cut(text, "=")
		if !ok || source == "" {
			return nil, problem.New(problem.Usage, "write it as SOURCE=TARGET, such as quay.io/jetstack=cert-manager", "the mapping %q has no source or no target", text)
		}
		r := Rule{strings.Trim(source, "/"), strings.Trim(target, "/")}
		if err := checkPath("the target of the mapping", text, r.Target); err != nil {
			return nil, err
		}
		m.rules = append(m.rules, r)
	}
	slices.SortStableFunc(m.rules, func(a, b Rule) int { return cmp.Compare(len(b.Source), len(a.Source)) })
	return m, nil
}

// checkPath refuses what cannot be the beginning of a repository's name; text
// is how it was written.
func checkPath(what, text, path string) error {
	if path == "" {
		return nil
	}
	// With a host before it, nothing of the path is taken for one.
	if _, err := reference.WithName("registry.invalid/" + path); err != nil {
		return problem.New(problem.Usage, "use lower-case letters, digits, and single . _ - or / between them", "%s %q names no repository: %w", what, text, err)
	}
	return nil
}

// Prefix returns the path that every repository begins with, or "".
func (m *Mapping) Prefix() string { return m.base }

// Rules returns the rules, the longest source first.
func (m *Mapping) Rules() []Rule { return slices.Clone(m.rules) }

// Unused returns the rules that decide where none of these references goes.
func (m *Mapping) Unused(references []string) []Rule {
	unused := m.Rules()
	for _, ref := range references {
		named, err := reference.ParseNormalizedNamed(ref)
		if err != nil {
			continue
		}
		if rule, ok := m.rule(named.Name()); ok {
			unused = slices.DeleteFunc(unused, func(r Rule) bool { return r == rule })
		}
	}
	return unused
}

// Placement is where a root goes.
type Placement struct {
	Root       archive.Root
	Bundle     *archive.Reader // that has it; set by Union.Place
	Repository string          // within the registry
	Tag        string          // "" when the reference has only a digest
}

// Repository returns the repository and the tag for a full reference.
func (m *Mapping) Repository(ref string) (repository, tag string, err error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", "", fmt.Errorf("reference %q: %w", ref, err)
	}
	if t, ok := named.(reference.Tagged); ok {
		tag = t.Tag()
	}
	repository = join(m.base, m.path(named))
	if _, err := reference.WithName("registry.invalid/" + repository); err != nil {
		return "", "", problem.New(problem.Usage, "change the prefix or the mapping", "%s would go to %q: %w", ref, repository, err)
	}
	return repository, tag, nil
}

func (m *Mapping) path(named reference.Named) string {
	name := named.Name()
	r, ok := m.rule(name)
	switch {
	case !ok:
		return reference.Path(named)
	case name == r.Source:
		return cmp.Or(r.Target, reference.Path(named))
	default:
		return join(r.Target, strings.TrimPrefix(name, r.Source+"/"))
	}
}

// rule returns the rule for a repository's full name.
func (m *Mapping) rule(name string) (Rule, bool) {
	i := slices.IndexFunc(m.rules, func(r Rule) bool { return name == r.Source || strings.HasPrefix(name, r.Source+"/") })
	if i < 0 {
		return Rule{}, false
	}
	return m.rules[i], true
}

func join(a, b string) string { return strings.Trim(a+"/"+b, "/") }

// Place returns where each root goes, in their order. Roots of different
// sources may share a repository, as long as no tag there would have to name
// two manifests: that is ErrCollision, with every such pair. A reference with a
// digest is found by that: it has its tag only where nobody else needs it.
func (m *Mapping) Place(roots []archive.Root) ([]Placement, error) {
	out := make([]Placement, 0, len(roots))
	for _, root := range roots {
		repository, tag, err := m.Repository(root.Reference)
		if err != nil {
			return nil, err
		}
		out = append(out, Placement{Root: root, Repository: repository, Tag: tag})
	}
	taken := map[string]archive.Root{}
	var collisions []error
	for _, p := range out {
		if p.Tag == "" || p.digested() {
			continue
		}
		if other, ok := taken[p.place()]; ok && other.Descriptor.Digest != p.Root.Descriptor.Digest {
			collisions = append(collisions, collision(other, p.Root, p.place()))
		}
		taken[p.place()] = p.Root
	}
	if len(collisions) > 0 {
		return nil, errors.Join(collisions...)
	}
	for i, p := range out {
		if p.Tag == "" || !p.digested() {
			continue
		}
		if other, ok := taken[p.place()]; ok && other.Descriptor.Digest != p.Root.Descriptor.Digest {
			out[i].Tag = ""
			continue
		}
		taken[p.place()] = p.Root
	}
	return out, nil
}

// digested tells whether whoever asks for the root asks for its digest.
func (p Placement) digested() bool { return strings.Contains(p.Root.Reference, "@") }

// place is what a client asks the registry for by tag.
func (p Placement) place() string { return p.Repository + ":" + p.Tag }

func collision(a, b archive.Root, place string) error {
	if a.Reference == b.Reference {
		return problem.New(problem.Failed, "use one of the two bundles at a time: the one that is pushed last has the tag",
			"%s is %s in one bundle and %s in another: %w", a.Reference, a.Descriptor.Digest, b.Descriptor.Digest, ErrCollision)
	}
	return problem.New(problem.Failed, "put one of the sources elsewhere: --prefix SOURCE=TARGET, such as --prefix quay.io=quay",
		"%s and %s would both be %s: %w", a.Reference, b.Reference, place, ErrCollision)
}
