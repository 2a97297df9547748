// Package discovery finds the container images that rendered Kubernetes
// documents, a chart's annotations and a pack's values name.
//
// A finding is one place that names one image. How sure it is that the image
// will be pulled from there is its certainty: certain (a container runtime
// pulls it), likely (an operator does, by a convention that many keep) or
// possible (a string that reads like an image). Every finding carries the name
// of the rule that made it. What reads like an image and is none is held down
// by rules too, and is reported as ignored with the rule's name.
//
// The documents are read as foreign bytes: size, depth and number of values are
// limited, and what aliases stand for counts as often as they are used. docs/discovery.md has
// the table of rules and how well they do on real charts.
package discovery

import (
	"cmp"
	"errors"
	"slices"
)

// Document is a file of YAML or JSON, with any number of documents in it.
type Document struct {
	Source string // where it comes from, such as chart/templates/deploy.yaml
	Data   []byte
}

// Certainty says how sure it is that an image will be pulled.
type Certainty string

// The certainties, the surest first.
const (
	Certain  Certainty = "certain"  // a container runtime will pull it
	Likely   Certainty = "likely"   // a convention of operators and packagers
	Possible Certainty = "possible" // a string that reads like an image
)

// rank orders certainties, the surest lowest.
func (c Certainty) rank() int {
	return slices.Index([]Certainty{Certain, Likely, Possible}, c)
}

// AtLeast tells whether c is as sure as other, or surer.
func (c Certainty) AtLeast(other Certainty) bool { return c.rank() <= other.rank() }

// Finding is one place that names one image.
type Finding struct {
	Reference string    `json:"reference"` // in full: docker.io/library/nginx:1.27
	As        string    `json:"as"`        // as it is written, or put together from its parts
	Certainty Certainty `json:"certainty"`
	Rule      string    `json:"rule"`
	Source    string    `json:"source"`
	Object    string    `json:"object,omitempty"` // Deployment/namespace/name
	Path      string    `json:"path,omitempty"`   // spec.template.spec.containers[0].image
}

// Ignored is a string that a rule held down.
type Ignored struct {
	As     string `json:"as"`
	Rule   string `json:"rule"`
	Source string `json:"source"`
	Object string `json:"object,omitempty"`
	Path   string `json:"path,omitempty"`
}

// ChartNeed is a chart that will be fetched, and whose images are not known
// from what was read.
type ChartNeed struct {
	Repo    string `json:"repo,omitempty"` // a URL, or the object that holds it
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Rule    string `json:"rule"`
	Source  string `json:"source"`
	Object  string `json:"object,omitempty"`
	Path    string `json:"path,omitempty"`
}

// Report is what was found. Its lists are sorted and hold nothing twice.
type Report struct {
	Found   []Finding   `json:"found"`
	Ignored []Ignored   `json:"ignored"`
	Charts  []ChartNeed `json:"charts"`
}

// ErrUnreadable means: a document is not YAML, or exceeds a limit.
var ErrUnreadable = errors.New("not readable as YAML")

// Images returns the references that are at least as sure as least, sorted,
// each once.
func (r Report) Images(least Certainty) []string {
	var out []string
	for _, f := range r.Found {
		if f.Certainty.AtLeast(least) {
			out = append(out, f.Reference)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// AtLeast returns the report without findings that are less sure than least.
func (r Report) AtLeast(least Certainty) Report {
	r.Found = slices.DeleteFunc(slices.Clone(r.Found), func(f Finding) bool { return !f.Certainty.AtLeast(least) })
	return r
}

// Merge returns what r and the others found together.
func (r Report) Merge(others ...Report) Report {
	out := Report{Found: slices.Clone(r.Found), Ignored: slices.Clone(r.Ignored), Charts: slices.Clone(r.Charts)}
	for _, o := range others {
		out.Found = append(out.Found, o.Found...)
		out.Ignored = append(out.Ignored, o.Ignored...)
		out.Charts = append(out.Charts, o.Charts...)
	}
	out.sort()
	return out
}

// sort puts the lists in their order: by what was found, the surest first,
// then by place.
func (r *Report) sort() {
	slices.SortFunc(r.Found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Certainty.rank(), b.Certainty.rank()),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.As, b.As))
	})
	slices.SortFunc(r.Ignored, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(a.As, b.As), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	slices.SortFunc(r.Charts, func(a, b ChartNeed) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	// Empty, not nil: in JSON a list is a list.
	r.Found = append([]Finding{}, slices.Compact(r.Found)...)
	r.Ignored = append([]Ignored{}, slices.Compact(r.Ignored)...)
	r.Charts = append([]ChartNeed{}, slices.Compact(r.Charts)...)
}

// Documents reports what rendered documents name. Documents that cannot be
// read do not keep the others from being reported: the error, ErrUnreadable,
// names each of them with its line.
func Documents(docs []Document) (Report, error) {
	var report Report
	var failed []error
	var replaced []replacement
	for _, d := range docs {
		w := &walker{report: &report, source: d.Source, replaced: &replaced}
		if err := parse(d.Data, documentLimits(), w.document); err != nil {
			failed = append(failed, unreadable(d.Source, err))
		}
	}
	report.replace(replaced)
	report.sort()
	return report, errors.Join(failed...)
}
