package preflight_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/sites"
)

func (l *lab) client() *registry.Client {
	c, err := registry.NewClient(registry.Options{CAFile: l.Authority.File, Host: l.Site.Registry.Address, Username: l.RegistryLogin.Username, Password: l.RegistryLogin.Password.Reveal()})
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
	names, err := l.client().Repositories(t.Context(), l.Site.Registry.Address, 10)
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestRegistryThatDoesNotCancel(t *testing.T) {
	l := newLabWith(t, sites.Options{Wrap: registries.Faults(registries.Fault{Method: http.MethodDelete, Do: registries.Status(http.StatusMethodNotAllowed)})})
	t.Parallel()
	l.require("registry-push", preflight.OK, "the registry clears it away by itself")
}

func TestRegistryIsNotThere(t *testing.T) {
	l := newLab(t)
	l.edit(l.Site.Registry.Address, "127.0.0.1:1")
	all := l.require("registry-reachable", preflight.Failed, "connection refused")
	requireState(t, all["content-reachable"], preflight.Skipped, "because of registry-pull")
	requireState(t, all["registry-push"], preflight.Skipped, "because of registry-project")
}

func TestRegistryIsNotTrusted(t *testing.T) {
	l := newLab(t)
	l.edit(", caFile: registry-ca.crt", "")
	all := l.require("registry-tls", preflight.Failed, "unknown authority")
	require.Equal(t, "give the certificate of the registry's authority: spec.registry.caFile", all["registry-tls"].Remedy)

	expired := registries.Start(t, http.NotFoundHandler(), registries.Options{TLS: l.Authority.Server(time.Now().Add(-time.Hour), false)})
	l.edit(l.Site.Registry.Address, registries.Host(expired), ", credentials: {fromEnv: R}", ", caFile: registry-ca.crt, credentials: {fromEnv: R}")
	all = l.require("registry-tls", preflight.Failed, "expired")
	require.Contains(t, all["registry-tls"].Remedy, "clock")

	other := registries.Start(t, http.NotFoundHandler(), registries.Options{TLS: l.Authority.Server(time.Now().Add(time.Hour), false)})
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
	l := newLabWith(t, sites.Options{Wrap: registries.Faults(registries.Fault{Method: http.MethodPost, Do: registries.Status(http.StatusForbidden)})})
	t.Parallel()
	all := l.require("registry-push", preflight.Failed, "forbidden")
	requireState(t, all["registry-pull"], preflight.OK, "may be pulled from")
}

func TestRegistryWithoutTLS(t *testing.T) {
	l := newLab(t)
	plain := registries.Distribution(t, registries.Options{})
	l.edit(l.Site.Registry.Address, registries.Host(plain), "caFile: registry-ca.crt, credentials: {fromEnv: R}", "plainHTTP: true")
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
	l.edit(l.Site.Registry.Address, registries.Host(plain), "caFile: registry-ca.crt, credentials: {fromEnv: R}", "plainHTTP: true")
	all := l.require("registry-token", preflight.Failed, "without TLS but sends clients to https://127.0.0.1:1 for a token")
	require.Contains(t, all["registry-token"].Remedy, "external_url in harbor.yml")
	for realm, want := range map[string]string{
		"http://127.0.0.1:1/token":           "in the clear",
		"https://tokens.north.example/token": "another host for a token: https://tokens.north.example",
		"https://127.0.0.1:1/token":          "connection refused",
	} {
		secure := registries.Start(t, http.NotFoundHandler(), registries.Options{Wrap: challenge(realm), TLS: l.Authority.Server(time.Now().Add(time.Hour), false)})
		l.text = before
		l.edit(l.Site.Registry.Address, registries.Host(secure))
		l.require("registry-token", preflight.Failed, want)
	}
}

// harbor is one whose user is the lab's.
func harbor(restriction, project string, admin bool) *registries.Harbor {
	return &registries.Harbor{User: "robot", Password: "Registry-1!", Restriction: restriction, Projects: []string{project}, Admin: admin}
}

func TestHarborProject(t *testing.T) {
	for _, c := range []struct {
		name             string
		harbor           *registries.Harbor
		state            preflight.State
		evidence, remedy string
		push             preflight.State
	}{
		{"there", harbor("adminonly", "sealift", false), preflight.OK, "Harbor has the project sealift", "", preflight.OK},
		{"everyone", harbor("everyone", "other", false), preflight.OK, "no project sealift yet: the installation makes it, private, as robot", "", preflight.OK},
		{"admin", harbor("adminonly", "other", true), preflight.OK, "no project sealift yet", "", preflight.OK},
		{"nobody", harbor("adminonly", "other", false), preflight.Failed, "or does not show it, and robot may not make it", "ask an administrator of Harbor", preflight.Skipped},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLabWith(t, sites.Options{Wrap: c.harbor.Wrap})
			t.Parallel()
			all := l.require("registry-project", c.state, c.evidence)
			require.Contains(t, all["registry-project"].Remedy, c.remedy)
			require.Equal(t, c.push, all["registry-push"].State, all["registry-push"].Evidence)
			require.Empty(t, c.harbor.Made(), "nothing is changed")
		})
	}
	down := harbor("everyone", "sealift", false)
	down.Down = true
	l := newLabWith(t, sites.Options{Wrap: down.Wrap})
	t.Parallel()
	l.require("registry-project", preflight.Failed, "the database is down")
}

// With a bundle, nothing of it is looked for in a project that is still to be made.
func TestContentOfAHarborWithoutTheProject(t *testing.T) {
	l := newLabWith(t, sites.Options{Wrap: harbor("everyone", "other", false).Wrap})
	t.Parallel()
	l.options.Bundle = archivetest.Open(t, archivetest.Sample(t).Write())
	all := l.require("content-reachable", preflight.OK, "still to be made")
	requireState(t, all["registry-pull"], preflight.OK, "made by the installation")
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
	_, err = mirror.Push(t.Context(), []*archive.Reader{base}, l.client(), l.Site.Registry.Address, m, mirror.PushOptions{})
	require.NoError(t, err)
	l.require("content-reachable", preflight.OK, ", 0 will be pushed from the bundle")

	b := archivetest.Sample(t)
	b.Root("docker.io/library/new:1", b.Image("amd64", "something new"))
	b.Over(base)
	l.options.Bundle = archivetest.Open(t, b.Write())
	l.require("content-reachable", preflight.OK, "will be pushed from the bundle")
	empty := registries.Distribution(t, registries.Options{TLS: l.Authority.Server(time.Now().Add(time.Hour), false)})
	l.edit(l.Site.Registry.Address, registries.Host(empty))
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
	l.options.Release = preflight.Release{Err: problem.New(problem.Usage, "give an enterprise bundle", "%w", release.ErrNoRelease)}
	all = l.require("content-complete", preflight.Failed, "the bundle has no release.yaml")
	requireState(t, all["content-version"], preflight.Skipped, "because of content-complete")
	l.options.Release = preflight.Release{KubernetesVersion: "v1.34.4"}
	l.edit("template: node-1.34", "template: node-1.34\n    kubernetesVersion: v1.33.1")
	l.require("content-version", preflight.Failed, "the bundle brings Kubernetes v1.34.4, the site asks for v1.33.1")
}
