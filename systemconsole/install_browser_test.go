package systemconsole_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

// carried is an installation that a test carries out. The real one is the
// installer's, whose own tests try it; what pages do with it is tried here.
type carried struct {
	mu       sync.Mutex
	site     string
	progress enterprise.Progress
}

var _ enterprise.Installation = (*carried)(nil)

func (i *carried) set(p enterprise.Progress) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.progress = p
}

func (i *carried) Site(context.Context) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.site == "" {
		return "apiVersion: sealift.dev/v1\nkind: Site\n", nil
	}
	return i.site, nil
}

func (i *carried) Preflight(_ context.Context, site string) ([]enterprise.Check, error) {
	if site == "broken" {
		return nil, problem.New(problem.Usage, "look at line 3", "site.yaml: line 3: spec.vcenter is missing")
	}
	good := enterprise.Check{Name: "vCenter", Status: enterprise.Status{State: enterprise.Good, Text: "Good"}, Evidence: "vcenter.north.example answers with version 8.0.3"}
	if site == "full" {
		return []enterprise.Check{good, {Name: "datastore", Status: enterprise.Status{State: enterprise.Bad, Text: "Failed"},
			Evidence: "vmfs-ssd has 12 GiB of the 240 GiB that are needed", Remedy: "make room on vmfs-ssd, or name another datastore"}}, nil
	}
	return []enterprise.Check{good}, nil
}

func (i *carried) Start(_ context.Context, site string) error {
	if site == "taken" {
		return errors.New("another installation is under way")
	}
	i.mu.Lock()
	i.site = site
	i.mu.Unlock()
	i.set(enterprise.Progress{State: enterprise.Running, Log: []string{"filling the registry", "importing node-1.35"}, Steps: []enterprise.Step{
		{Name: "fill the registry", Status: enterprise.Status{State: enterprise.Good, Text: "Done"}}, {Name: "import the node template", Status: enterprise.Status{State: enterprise.Busy, Text: "Running"}},
		{Name: "start the bootstrap control plane", Status: enterprise.Status{Text: "Waiting"}}}})
	return nil
}

func (i *carried) Progress(context.Context) (enterprise.Progress, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.progress, nil
}

// A browser goes through an installation: the site, what is wrong with it, the
// preflight, the steps, a failure.
func TestInstallationInABrowser(t *testing.T) {
	i := &carried{}
	b := startWith(t, systemconsole.Options{Installation: i}).chromium(t)
	b.signIn()
	b.Visit("/")
	b.Press("#live .empty a", "#site")
	b.looks("install-site")
	b.set("site", "broken")
	b.Press("main form .first", "[role=alert]")
	require.Contains(t, b.Text("main"), "line 3: spec.vcenter is missing")
	b.looks("install-broken")
	b.set("site", "full")
	b.Press("main form .first", "#checks-title")
	b.looks("install-not-ready")
	b.set("site", "good")
	b.Press("main form[action$=check] .first", "form[action$=start]")
	b.looks("install-ready")
	b.Press("form[action$=start] .first", "#progress-title")
	b.looks("install-running")
	p, err := i.Progress(t.Context())
	require.NoError(t, err)
	p.State, p.Error = enterprise.Stopped, "import the node template: the datastore vmfs-ssd is full: make room on it"
	i.set(p)
	b.Wait("#resume-title") // the page is loaded anew at the end
	require.NotContains(t, b.Text("main"), "The installation was started.")
	b.looks("install-stopped")
	b.set("site", "taken")
	b.Press("form[action$=start] .first", "#site-error")
	require.Contains(t, b.Text("main"), "the datastore vmfs-ssd is full", "what stopped it is still there")
	b.looks("install-not-resumed")
	b.set("site", "mended")
	b.Press("form[action$=start] .first", ".says.good")
	site, err := i.Site(t.Context())
	require.NoError(t, err)
	require.Equal(t, "mended", site)
	b.Quiet()
}
