package packs

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Severity tells how much a problem matters.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // the pack, or the packs together, will not work
	SeverityWarning Severity = "warning" // somebody should look at it
)

// Problem is something wrong with a pack, with values or with packs together.
type Problem struct {
	Severity Severity `json:"severity"`
	Where    string   `json:"where"` // a file and a path in it, or a pack
	Text     string   `json:"text"`
}

// HasErrors tells whether one of the problems is an error.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == SeverityError })
}

// sorted returns problems in their stable order, errors first, each once.
func sorted(problems []Problem) []Problem {
	out := slices.Clone(problems)
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(out)
}

// found notes a problem while the pack is read.
func (p *Pack) found(s Severity, where, format string, args ...any) {
	p.problems = append(p.problems, Problem{Severity: s, Where: where, Text: fmt.Sprintf(format, args...)})
}

// report collects problems.
type report struct{ problems []Problem }

func (r *report) errorf(where, format string, args ...any) {
	r.problems = append(r.problems, Problem{SeverityError, where, fmt.Sprintf(format, args...)})
}

func (r *report) warnf(where, format string, args ...any) {
	r.problems = append(r.problems, Problem{SeverityWarning, where, fmt.Sprintf(format, args...)})
}

// What names and versions must look like to be pushed, NAME:VERSION, to a
// registry. "+" is pushed as "_", as Helm does.
var (
	namePattern    = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	versionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$`)
)

// layers returns the layers that packs can be of.
func layers() []string { return []string{"kernel", "os", "k8s", "cni", "csi", "addon"} }

// Problems returns everything that is wrong with the pack by itself, errors
// first, in a stable order. Constraints on other packs are Solve's.
func (p *Pack) Problems() []Problem {
	r := &report{problems: slices.Clone(p.problems)}
	p.checkIdentity(r)
	p.checkPaths(r)
	p.checkDependencies(r)
	for i, res := range p.Meta.Constraints.Resources {
		if !slices.Contains([]string{"cpu", "memory", "diskSize"}, res.Type) {
			r.warnf(fmt.Sprintf("%s: constraints.resources[%d].type", metaFile, i), "%q is none of cpu, memory, diskSize", res.Type)
		}
	}
	p.checkOwnValues(r)
	if !p.has(logoFile) {
		r.warnf(logoFile, "is missing: consoles show the pack without a picture")
	}
	return sorted(r.problems)
}

func (p *Pack) checkIdentity(r *report) {
	m := p.Meta
	if !namePattern.MatchString(m.Name) || len(m.Name) > 128 {
		r.errorf(metaFile+": name", "%q cannot be a name: lower-case letters, digits and single '.', '_' or '-' between them", m.Name)
	}
	if !versionPattern.MatchString(m.Version) {
		r.errorf(metaFile+": version", "%q cannot be a version: letters, digits, '.', '-', '_' and '+', such as 1.4.0", m.Version)
	} else if _, err := semver.NewVersion(m.Version); err != nil {
		r.warnf(metaFile+": version", "%q is no semantic version: constraints of other packs cannot be compared with it", m.Version)
	}
	if !slices.Contains(layers(), m.Layer) {
		r.errorf(metaFile+": layer", "%q is none of %s", m.Layer, strings.Join(layers(), ", "))
	}
	for _, c := range []struct {
		field   string
		missing bool
	}{{"displayName", m.DisplayName == ""}, {"cloudTypes", len(m.CloudTypes) == 0}, {"addonType", m.AddonType == "" && m.Layer == "addon"}} {
		if c.missing {
			r.warnf(metaFile+": "+c.field, "is missing")
		}
	}
}

// checkPaths compares the charts and manifests that pack.json names with those
// that are there.
func (p *Pack) checkPaths(r *report) {
	check := func(field string, names []string, there func(string) bool) {
		for i, name := range names {
			where := fmt.Sprintf("%s: %s[%d]", metaFile, field, i)
			clean, err := cleanName(name)
			switch {
			case err != nil:
				r.errorf(where, "%q is not a path within the pack", name)
			case !there(clean):
				r.errorf(where, "%s is not in the pack", name)
			case slices.Index(names, name) < i:
				r.warnf(where, "%s stands twice", name)
			}
		}
	}
	check("charts", p.Meta.Charts, func(name string) bool { return p.has(name) || p.has(name+"/Chart.yaml") })
	check("kubeManifests", p.Meta.KubeManifests, p.has)
	charts := p.Charts()
	for _, f := range p.files {
		if ok, _ := path.Match("charts/*.tgz", f.Path); ok && !slices.Contains(charts, f.Path) {
			r.warnf(f.Path, "is not among charts of %s: it is not deployed", metaFile)
		}
	}
}

func (p *Pack) checkDependencies(r *report) {
	for i, d := range p.Meta.Constraints.Dependencies {
		where := fmt.Sprintf("%s: constraints.dependencies[%d]", metaFile, i)
		if d.PackName == "" {
			r.errorf(where+".packName", "is missing")
		}
		if d.Layer != "" && !slices.Contains(layers(), d.Layer) {
			r.warnf(where+".layer", "%q is none of %s", d.Layer, strings.Join(layers(), ", "))
		}
		types := []string{DependencyRequired, DependencyOptional, DependencyNotSupported, DependencyUpgrade}
		if !slices.Contains(types, d.Type) {
			r.errorf(where+".type", "%q is none of %s", d.Type, strings.Join(types, ", "))
		}
		if d.PackName == p.Meta.Name && d.Type == DependencyRequired {
			r.errorf(where+".packName", "the pack requires itself")
		}
		s, err := newSpan(d.MinVersion, d.MaxVersion)
		if err != nil {
			r.errorf(where, "%v", err)
		} else if s.empty() {
			r.errorf(where, "no version is %s", s)
		}
	}
}
