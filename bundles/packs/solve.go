package packs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Solve checks the constraints of packs that are to be used together, as those
// of one cluster profile. It reports packs that stand twice, required ones that
// are missing, versions that do not fit, and circles of requirements; a message
// about versions says which would fit all packs at once. Constraints of the
// type upgrade need what is installed, and are Upgrade's.
func Solve(packs []*Pack) []Problem {
	s := &solver{byName: map[string]*Pack{}, wants: map[string][]want{}}
	for _, p := range packs {
		if first, twice := s.byName[p.Meta.Name]; twice {
			s.errorf(p.Meta.Name, "the pack stands twice: %s and %s; keep one", first.Meta.Version, p.Meta.Version)
			continue
		}
		s.byName[p.Meta.Name] = p
		s.names = append(s.names, p.Meta.Name)
	}
	slices.Sort(s.names)
	for _, name := range s.names {
		s.collect(s.byName[name])
	}
	for _, name := range sortedWants(s.wants) {
		s.check(name, s.wants[name])
	}
	s.circles()
	return sorted(s.problems)
}

// want is what one pack says of another.
type want struct {
	by     *Pack
	dep    Dependency
	within span
}

// meets tells whether a version is what was wanted.
func (w want) meets(v *semver.Version) bool {
	return w.within.contains(v) != (w.dep.Type == DependencyNotSupported)
}

// String says it for people.
func (w want) String() string {
	switch w.dep.Type {
	case DependencyNotSupported:
		return fmt.Sprintf("%s does not support %s", w.by.Name(), w.within)
	case DependencyRequired:
		return fmt.Sprintf("%s requires %s", w.by.Name(), w.within)
	default:
		return fmt.Sprintf("%s takes %s", w.by.Name(), w.within)
	}
}

type solver struct {
	report
	names  []string // of the packs, sorted
	byName map[string]*Pack
	wants  map[string][]want // by the name of the pack that they are about
}

func sortedWants(wants map[string][]want) []string {
	names := make([]string, 0, len(wants))
	for name := range wants {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// collect notes what a pack says of others. What cannot be read is lint's.
func (s *solver) collect(p *Pack) {
	for _, d := range p.Meta.Constraints.Dependencies {
		known := d.Type == DependencyRequired || d.Type == DependencyOptional || d.Type == DependencyNotSupported
		if r, err := newSpan(d.MinVersion, d.MaxVersion); known && err == nil && d.PackName != "" {
			s.wants[d.PackName] = append(s.wants[d.PackName], want{p, d, r})
		}
	}
}

// check compares a pack with all that is said of it.
func (s *solver) check(name string, wants []want) {
	var all span
	var not []span
	for _, w := range wants {
		if w.dep.Type == DependencyNotSupported {
			not = append(not, w.within)
		} else {
			all = all.and(w.within)
		}
	}
	target, there := s.byName[name]
	if !there {
		for _, w := range wants {
			if w.dep.Type == DependencyRequired {
				s.errorf(name, "%s requires this pack, which is missing; %s", w.by.Name(), fits(all, not))
			}
		}
		return
	}
	for _, w := range wants {
		if w.dep.Layer != "" && w.dep.Layer != target.Meta.Layer && w.dep.Type != DependencyNotSupported {
			s.warnf(name, "%s expects it in the layer %s, it is in %s", w.by.Name(), w.dep.Layer, target.Meta.Layer)
		}
	}
	v, err := semver.NewVersion(target.Meta.Version)
	if err != nil {
		s.warnf(name, "%q is no semantic version: what other packs say of it cannot be checked", target.Meta.Version)
		return
	}
	var unmet []string
	for _, w := range wants {
		if !w.meets(v) {
			unmet = append(unmet, w.String())
		}
	}
	if len(unmet) > 0 {
		s.errorf(name, "version %s does not fit: %s; %s", target.Meta.Version, strings.Join(unmet, ", "), fits(all, not))
	}
}

// circles reports each circle of packs that require one another once.
func (s *solver) circles() {
	done := map[string]bool{}
	for _, name := range s.names {
		s.follow(name, nil, done)
	}
}

func (s *solver) follow(name string, way []string, done map[string]bool) {
	if i := slices.Index(way, name); i >= 0 {
		s.errorf(name, "the packs require one another in a circle: %s", strings.Join(append(slices.Clone(way[i:]), name), " -> "))
		return
	}
	p := s.byName[name]
	if p == nil || done[name] {
		return
	}
	for _, d := range p.Meta.Constraints.Dependencies {
		if d.Type == DependencyRequired {
			s.follow(d.PackName, append(slices.Clip(way), name), done)
		}
	}
	done[name] = true
}

// Upgrade checks the constraints of the type upgrade: whether the installed
// packs may be replaced by those of to.
func Upgrade(installed, to []*Pack) []Problem {
	r := &report{}
	for _, p := range to {
		for _, d := range p.Meta.Constraints.Dependencies {
			i := slices.IndexFunc(installed, func(old *Pack) bool { return old.Meta.Name == d.PackName })
			s, err := newSpan(d.MinVersion, d.MaxVersion)
			if d.Type != DependencyUpgrade || i < 0 || err != nil {
				continue
			}
			old := installed[i]
			v, err := semver.NewVersion(old.Meta.Version)
			if err != nil {
				r.warnf(p.Meta.Name, "%q of the installed %s is no semantic version: whether it may be upgraded cannot be checked", old.Meta.Version, old.Meta.Name)
			} else if !s.contains(v) {
				r.errorf(p.Meta.Name, "%s cannot replace the installed %s; %s", p.Name(), old.Name(), fits(s, nil))
			}
		}
	}
	return sorted(r.problems)
}
