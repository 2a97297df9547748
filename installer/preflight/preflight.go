// Package preflight looks at a site before anything is installed there, and
// changes nothing. Every check runs beside the others and ends with a state, the
// evidence for it and, where something is wrong, the remedy.
//
// A check that could not say anything because another one failed is skipped, and
// names that one: one cause, one failure.
package preflight

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// State is how a check ended.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // an installation may succeed; a person should read it
	Failed  State = "failed"  // an installation would fail
	Skipped State = "skipped" // there was nothing to check, or another check failed
)

// Result is one check's result.
type Result struct {
	Name     string `json:"name"`
	State    State  `json:"state"`
	Evidence string `json:"evidence"`
	Remedy   string `json:"remedy"`
}

// Report is the results of all checks, in a fixed order.
type Report struct {
	Checks []Result `json:"checks"`
}

// Count returns how many checks ended in a state.
func (r *Report) Count(s State) int {
	n := 0
	for _, c := range r.Checks {
		if c.State == s {
			n++
		}
	}
	return n
}

// Err returns nil when no check failed, else an error of kind problem.Preflight
// that names those that did.
func (r *Report) Err() error {
	var names []string
	for _, c := range r.Checks {
		if c.State == Failed {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return problem.New(problem.Preflight, "mend what the checks name, then run it again: it changes nothing", "%d of %d checks failed: %s",
		len(names), len(r.Checks), strings.Join(names, ", "))
}

// Release is what the release in a bundle says that checks need to know.
type Release struct {
	Err               error  // why there is none; nil when there is one
	KubernetesVersion string // such as v1.34.4; "" is not known
	Template          string // name of the template that is made of its OVA; "" is not known
	// Missing are the parts of the release that the bundle does not carry.
	Missing []error
	// Requests reads what its packs ask of machines; nil without a release.
	Requests func(context.Context) ([]release.Request, error)
}

// Options is how a site is looked at. The zero value checks everything but the
// bundle.
type Options struct {
	Login    site.LoginOptions // where credentials come from
	Dir      string            // the installation's folder on this host, which need not be there; "" leaves out what it takes
	Bundle   *archive.Reader   // that will be installed, its signature verified; nil skips the checks of content
	Release  Release           // of the bundle
	Timeout  time.Duration     // of one check; 0 means 8 s. Content may take longer
	Progress progress.Reporter // nil means none
}

const (
	defaultTimeout = 8 * time.Second
	contentTimeout = 5 * time.Minute
)

// Run makes every check of a site. What the checks find is in the report; the
// error is for a run that was canceled.
func Run(ctx context.Context, s *site.Site, options Options) (*Report, error) {
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	e := &examination{site: s, options: options}
	e.logIn()
	defer e.close(ctx)
	results := run(ctx, e.checks(), options)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("checking the site %s: %w", s.Metadata.Name, err)
	}
	return &Report{Checks: results}, nil
}

// examination is one run: what is looked at, and what checks leave for those
// that come after them.
type examination struct {
	site    *site.Site
	options Options

	vcenter  vcenterFacts
	registry registryFacts
	clocks   clocks

	engineRoot string // by host-engine: the folder of the container engine; "" is not known
}

// logIn asks for the credentials first: a person may have to type them.
func (e *examination) logIn() {
	e.vcenter.login, e.vcenter.loginErr = e.site.VCenterLogin(e.options.Login)
	e.registry.login, e.registry.loginErr = e.site.RegistryLogin(e.options.Login)
}

func (e *examination) close(ctx context.Context) {
	if e.vcenter.client != nil {
		_ = e.vcenter.client.Close(ctx) // the vCenter ends it in time, if it cannot be told
	}
}

// checks returns all checks in the order in which they are shown.
func (e *examination) checks() []check {
	var out []check
	for _, group := range [][]check{
		e.hostChecks(), e.vcenterChecks(), e.inventoryChecks(), e.privilegeChecks(), e.tagChecks(), e.capacityChecks(), e.templateChecks(), e.uploadChecks(),
		e.addressChecks(), e.dnsChecks(), e.timeChecks(), e.registryChecks(), e.consoleChecks(), e.contentChecks(),
	} {
		out = append(out, group...)
	}
	return out
}
