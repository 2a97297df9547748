package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/store"
)

func shown(t *testing.T, p Page) string {
	t.Helper()
	r, err := New()
	require.NoError(t, err)
	w := httptest.NewRecorder()
	require.NoError(t, r.Render(w, http.StatusOK, p))
	return w.Body.String()
}

// A list that is empty says why: nothing is there, or nothing was found.
func TestEmptyListsSayWhy(t *testing.T) {
	require.Contains(t, shown(t, NodesPage{}), "Nodes are listed here when their machines are made.")
	require.Contains(t, shown(t, NodesPage{Only: "all"}), "Nodes are listed here when their machines are made.")
	require.Contains(t, shown(t, NodesPage{Only: "attention"}), "All nodes are ready")
	require.Contains(t, shown(t, NodesPage{Filter: "x", Only: "attention"}), "No such nodes")
	require.Contains(t, shown(t, NodesPage{Filter: "x"}), "No such nodes")
	require.Contains(t, shown(t, NodesPage{Nodes: []*enterprise.Node{{Name: "node-1"}}}), "node-1")
	require.Contains(t, shown(t, EventsPage{}), "What the cluster&#39;s components say is listed here.")
	require.Contains(t, shown(t, EventsPage{Total: 3, Filter: "x"}), "No such events")
	require.Contains(t, shown(t, RegistryPage{Filter: "x"}), "No name has this text in it.")
	require.Contains(t, shown(t, RegistryPage{}), "Push a bundle to fill the registry.")
}

// Long lists have a filter, on each of their pages.
func TestLongListsHaveAFilter(t *testing.T) {
	const filter = `name="filter"`
	require.NotContains(t, shown(t, TenantsPage{Pages: Pages{Number: 1, Last: 1}}), filter)
	require.Contains(t, shown(t, TenantsPage{Pages: Pages{Number: 1, Last: 2}}), filter)
	require.Contains(t, shown(t, TenantsPage{Pages: Pages{Number: 2, Last: 2}}), filter)
	require.NotContains(t, shown(t, RegistryPage{Parts: make([]string, 3)}), filter)
	require.Contains(t, shown(t, RegistryPage{Parts: make([]string, 30)}), filter)
	require.Contains(t, shown(t, RegistryPage{Filter: "x"}), filter)
}

// A bundle that no registry takes leads to where one is added.
func TestAnUploadWithoutARegistry(t *testing.T) {
	p := UploadPage{Upload: registries.Upload{ID: "x", Size: 1, Received: 1}}
	require.Contains(t, shown(t, p), `href="/new-registry"`)
	require.NotContains(t, shown(t, p), "<select")
	p.Registries = []Option{{"site", "site"}}
	require.Contains(t, shown(t, p), "<select")
}

// A form that is shown again has the permissions that were chosen, one of
// anything is one, and buttons say what they are for.
func TestTheOwnPage(t *testing.T) {
	p := MePage{Scopes: []auth.Permission{auth.Self, auth.ReadAudit}, NewToken: auth.NewToken{Scopes: []auth.Permission{auth.ReadAudit}}}
	p.Account.Value.Factor.Key = "wrapped"
	p.Account.Value.Factor.Recovery = make([]string, 1)
	p.Sessions = []store.Item[auth.Session]{{Name: "other", Value: auth.Session{Source: "10.0.0.7", Agent: "curl/8.5.0"}}}
	p.Tokens = []store.Item[auth.Token]{{Value: auth.Token{Label: "backup job"}}}
	page := shown(t, p)
	require.Contains(t, page, `End<span class="visually-hidden"> the session from 10.0.0.7, curl/8.5.0</span>`)
	require.Contains(t, page, `Revoke<span class="visually-hidden"> backup job</span>`)
	require.Contains(t, page, `value="audit.read" checked>`)
	require.Contains(t, page, `value="self">`)
	require.Contains(t, page, "1 recovery code is left.")
}

// What a console cannot do is not promised.
func TestAConsoleThatInstallsNothing(t *testing.T) {
	require.NotContains(t, shown(t, SummaryPage{ShowsNone: true}), "Go to the installation")
	require.Contains(t, shown(t, SummaryPage{ShowsNone: true, Installs: true}), "Go to the installation")
	shell := Frame{Entries: []Entry{{"cluster", "Enterprise cluster", "/cluster"}}}
	require.NotContains(t, shown(t, InstallPage{Frame: shell}), "Describe the site, check it, and install.")
	require.Contains(t, shown(t, InstallPage{Frame: shell, Possible: true}), "Describe the site, check it, and install.")
}
