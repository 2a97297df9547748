package preflight_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
)

func (l *lab) client() *registry.Client {
	c, err := registry.NewClient(registry.Options{CAFile: l.authority.File, Host: registries.Host(l.registry), Username: "robot", Password: "pass"})
	require.NoError(l.t, err)
	return c
}

func TestRegistryKeepsNothing(t *testing.T) {
	l := newLab(t)
	l.require("registry-push", preflight.OK, "/sealift/sealift-preflight was begun and canceled")
	lines := l.requests.Lines()
	require.Equal(t, 1, registries.Count(lines, "DELETE /v2/sealift/sealift-preflight/blobs/uploads/"))
	require.Zero(t, registries.Count(lines, "PUT "))
	require.Zero(t, registries.Count(lines, "PATCH "))
	names, err := l.client().Repositories(t.Context(), registries.Host(l.registry), 10)
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestRegistryThatDoesNotCancel(t *testing.T) {
	t.Parallel()
	l := newLabWith(t, siteVCenter(), registries.Faults(registries.Fault{Method: http.MethodDelete, Do: registries.Status(http.StatusMethodNotAllowed)}))
	l.require("registry-push", preflight.OK, "the registry clears it away by itself")
}

func TestRegistryIsNotThere(t *testing.T) {
	l := newLab(t)
	l.edit(registries.Host(l.registry), "127.0.0.1:1")
	all := l.require("registry-reachable", preflight.Failed, "connection refused")
	requireState(t, all["content-reachable"], preflight.Skipped, "because of registry-pull")
	requireState(t, all["registry-push"], preflight.Skipped, "because of registry-project")
}

func TestRegistryIsNotTrusted(t *testing.T) {
	l := newLab(t)
	l.edit(", caFile: registry-ca.crt", "")
	all := l.require("registry-tls", preflight.Failed, "unknown authority")
	require.Equal(t, "give the certificate of the registry's authority: spec.registry.caFile", all["registry-tls"].Remedy)

	expired := registries.Start(t, http.NotFoundHandler(), registries.Options{TLS: l.authority.Server(time.Now().Add(-time.Hour), false)})
	l.edit(registries.Host(l.registry), registries.Host(expired), ", credentials: {fromEnv: R}", ", caFile: registry-ca.crt, credentials: {fromEnv: R}")
	all = l.require("registry-tls", preflight.Failed, "expired")
	require.Contains(t, all["registry-tls"].Remedy, "clock")

	other := registries.Start(t, http.NotFoundHandler(), registries.Options{TLS: l.authority.Server(time.Now().Add(time.Hour), false)})
	l.edit(registries.Host(expired), registries.Host(other))
	l.require("registry-tls", preflight.Failed, "404 Not Found")
}

func TestRegistryCredentials(t *testing.T) {
	l := newLab(t)
	l.env["R_PASSWORD"] = "not-this-one"
	all := l.require("registry-push", preflight.Failed, "unauthorized")
	require.Contains(t, all["registry-push"].Remedy, "spec.registry.credentials")
	requireState(t, all["registry-pull"], preflight.Failed, "unauthorized")

	delete(l.env, "R_PASSWORD")
	l.require("registry-reachable", preflight.Failed, "R_USERNAME or R_PASSWORD is not set")
	l.edit(", credentials: {fromEnv: R}", "")
	l.require("registry-push", preflight.Failed, "there are no credentials for it")
}

func TestRegistryLetsOnlyPull(t *testing.T) {
	t.Parallel()
	l := newLabWith(t, siteVCenter(), registries.Faults(registries.Fault{Method: http.MethodPost, Do: registries.Status(http.StatusForbidden)}))
	all := l.require("registry-push", preflight.Failed, "forbidden")
	requireState(t, all["registry-pull"], preflight.OK, "may be pulled from")
}

func TestRegistryWithoutTLS(t *testing.T) {
	l := newLab(t)
	plain := registries.Distribution(t, registries.Options{})
	l.edit(registries.Host(l.registry), registries.Host(plain), "caFile: registry-ca.crt, credentials: {fromEnv: R}", "plainHTTP: true")
	all := l.require("registry-tls", preflight.Warning, "answers without TLS")
	requireState(t, all["registry-push"], preflight.OK, "begun and canceled")
	l.edit(", plainHTTP: true", "")
	all = l.require("registry-tls", preflight.Failed, "server gave HTTP response to HTTPS client")
	require.Contains(t, all["registry-tls"].Remedy, "plainHTTP: true in spec.registry")
}

// challenge lets a registry send clients to a realm for a token.
func challenge(realm string) func(http.Handler) http.Handler {
	return registries.Faults(registries.Fault{Path: "/v2/", Do: registries.Status(http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="`+realm+`",service="harbor-registry"`)})
}

func TestTokenRealm(t *testing.T) {
	l := newLab(t)
	plain := registries.Start(t, http.NotFoundHandler(), registries.Options{Wrap: challenge("https://127.0.0.1:1/service/token")})
	before := l.text
	l.edit(registries.Host(l.registry), registries.Host(plain), "caFile: registry-ca.crt, credentials: {fromEnv: R}", "plainHTTP: true")
	all := l.require("registry-token", preflight.Failed, "without TLS but sends clients to https://127.0.0.1:1 for a token")
	require.Contains(t, all["registry-token"].Remedy, "external_url in harbor.yml")
	for realm, want := range map[string]string{
		"http://127.0.0.1:1/token":           "in the clear",
		"https://tokens.north.example/token": "another host for a token: https://tokens.north.example",
		"https://127.0.0.1:1/token":          "connection refused",
	} {
		secure := registries.Start(t, http.NotFoundHandler(), registries.Options{Wrap: challenge(realm), TLS: l.authority.Server(time.Now().Add(time.Hour), false)})
		l.text = before
		l.edit(registries.Host(l.registry), registries.Host(secure))
		l.require("registry-token", preflight.Failed, want)
	}
}

// harbor answers for projects as Harbor 2 does.
func harbor(restriction string, projects string, admin bool) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _, _ := r.BasicAuth()
			path, api := strings.CutPrefix(r.URL.Path, "/api/v2.0/")
			switch {
			case !api:
				h.ServeHTTP(w, r)
			case path == "systeminfo":
				fmt.Fprintf(w, `{"harbor_version": "v2.12.0", "project_creation_restriction": %q}`, restriction)
			case user != "robot":
				w.WriteHeader(http.StatusUnauthorized)
			case path == "users/current":
				fmt.Fprintf(w, `{"sysadmin_flag": %t}`, admin)
			case path == "projects/"+projects:
				fmt.Fprint(w, `{"name": "sealift"}`)
			case path == "projects/broken":
				w.WriteHeader(http.StatusInternalServerError)
				fmt.Fprint(w, `{"errors": [{"code": "UNKNOWN", "message": "the database is down"}]}`)
			default:
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"errors": [{"code": "NOT_FOUND", "message": "project not found"}]}`)
			}
		})
	}
}

func TestHarborProject(t *testing.T) {
	for _, c := range []struct {
		name, restriction, projects string
		admin                       bool
		state                       preflight.State
		evidence, remedy            string
	}{
		{"there", "adminonly", "sealift", false, preflight.OK, "Harbor has the project sealift", ""},
		{"everyone", "everyone", "other", false, preflight.Failed, "Harbor has no project sealift", "robot may do so"},
		{"admin", "adminonly", "other", true, preflight.Failed, "Harbor has no project sealift", "robot may do so"},
		{"nobody", "adminonly", "other", false, preflight.Failed, "or does not show it", "ask an administrator of Harbor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLabWith(t, siteVCenter(), harbor(c.restriction, c.projects, c.admin))
			all := l.require("registry-project", c.state, c.evidence)
			require.Contains(t, all["registry-project"].Remedy, c.remedy)
		})
	}
	t.Parallel()
	l := newLabWith(t, siteVCenter(), harbor("everyone", "sealift", false))
	l.edit("prefix: sealift", "prefix: broken")
	l.require("registry-project", preflight.Failed, "the database is down")
}

func TestContent(t *testing.T) {
	l := newLab(t)
	base := archivetest.Open(t, archivetest.Sample(t).Write())
	l.options.Bundle = base
	all := l.require("content-complete", preflight.OK, "test 1.0.0 has everything that it names: 3 images")
	requireState(t, all["content-reachable"], preflight.OK, "0 blobs and manifests are in the registry")
	requireState(t, all["registry-push"], preflight.OK, "/sealift/library/plain was begun and canceled")
	requireState(t, all["template"], preflight.Failed, "the bundle has no OVA")

	m, err := mirror.ParseMapping("sealift", nil)
	require.NoError(t, err)
	_, err = mirror.Push(t.Context(), []*archive.Reader{base}, l.client(), registries.Host(l.registry), m, mirror.PushOptions{})
	require.NoError(t, err)
	l.require("content-reachable", preflight.OK, ", 0 will be pushed from the bundle")

	b := archivetest.Sample(t)
	b.Root("docker.io/library/new:1", b.Image("amd64", "something new"))
	b.Over(base)
	l.options.Bundle = archivetest.Open(t, b.Write())
	l.require("content-reachable", preflight.OK, "will be pushed from the bundle")
	empty := registries.Distribution(t, registries.Options{TLS: l.authority.Server(time.Now().Add(time.Hour), false)})
	l.edit(registries.Host(l.registry), registries.Host(empty))
	l.require("content-reachable", preflight.Failed, mirror.ErrBaseMissing.Error())
}

func TestBundleWithoutANeededImage(t *testing.T) {
	l := newLab(t)
	b := archivetest.Sample(t)
	b.Contents.Roots[0].Needs = []archive.Need{{Kind: archive.RootImage, Reference: "registry.k8s.io/pause:3.10", Certainty: "certain", Where: "deployment.yaml"}}
	l.options.Bundle = archivetest.Open(t, b.Write())
	l.require("content-complete", preflight.Failed, "registry.k8s.io/pause:3.10")
}

func TestReleaseOfTheBundle(t *testing.T) {
	l := newLab(t)
	l.options.Bundle = archivetest.Open(t, archivetest.Sample(t).Write())
	l.options.Release = preflight.Release{KubernetesVersion: "v1.34.4", Missing: []error{errors.New("image registry.k8s.io/etcd:3.6 is not in the bundle")}}
	all := l.require("content-version", preflight.OK, "v1.34.4")
	requireState(t, all["content-complete"], preflight.Failed, "image registry.k8s.io/etcd:3.6 is not in the bundle")
	l.edit("template: node-1.34", "template: node-1.34\n    kubernetesVersion: v1.33.1")
	l.require("content-version", preflight.Failed, "the bundle brings Kubernetes v1.34.4, the site asks for v1.33.1")
}
