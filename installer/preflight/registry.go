package preflight

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
)

// registryFacts is what is known of the registry. Each field is written by one
// check and read by those that need it.
type registryFacts struct {
	login    site.Login
	loginErr error

	client   *registry.Client   // by registry-reachable
	greeting *registry.Greeting // by registry-tls
	unmade   bool               // by registry-project: Harbor's project is still to be made
}

func (e *examination) registryChecks() []check {
	return []check{
		{name: "registry-reachable", run: e.registryReachable},
		{name: "registry-tls", needs: []string{"registry-reachable"}, run: e.registryTLS},
		{name: "registry-token", needs: []string{"registry-tls"}, run: e.registryToken},
		{name: "registry-project", needs: []string{"registry-token"}, run: e.registryProject},
		{name: "registry-push", needs: []string{"registry-project"}, run: e.registryPush},
		{name: "registry-pull", needs: []string{"registry-token"}, follows: []string{"registry-push"}, run: e.registryPull},
	}
}

// Attempts and waits are short: a check says how it is now.
const attempts = 2

func (e *examination) registryOptions() registry.Options {
	r := e.site.Spec.Registry
	options := registry.Options{CAFile: e.site.Path(r.CAFile), TokenServers: r.TokenServers, MaxAttempts: attempts, Host: r.Endpoint,
		Username: e.registry.login.Username, Password: e.registry.login.Password.Reveal()}
	if r.PlainHTTP {
		options.PlainHTTP = []string{r.Endpoint}
	}
	return options
}

func (e *examination) registryReachable(ctx context.Context) finding {
	if e.registry.loginErr != nil {
		return failedWith(e.registry.loginErr)
	}
	client, err := registry.NewClient(e.registryOptions())
	if err != nil {
		return failedWith(err)
	}
	e.registry.client = client
	address := e.site.Spec.Registry.Endpoint
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, map[bool]string{true: "80", false: "443"}[e.site.Spec.Registry.PlainHTTP])
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return failed("check spec.registry.endpoint, the name server, the firewall, and that the registry runs", "connecting to %s: %v", address, err)
	}
	_ = conn.Close()
	return ok("%s takes connections", address)
}

func (e *examination) registryTLS(ctx context.Context) finding {
	endpoint := e.site.Spec.Registry.Endpoint
	greeting, err := e.registry.client.Greet(ctx, endpoint)
	if err != nil {
		f := failedWith(err)
		f.remedy = inSite(f.remedy)
		return f
	}
	e.registry.greeting = greeting
	if !greeting.Date.IsZero() {
		e.clocks.noteTime("registry", greeting.Date)
	}
	return answers(e.site.Spec.Registry)
}

// answers says how a registry that answered is trusted: not only this host has to.
func answers(r site.Registry) finding {
	switch {
	case r.PlainHTTP:
		return warning("give the registry a certificate: without TLS, credentials and images cross the network in the clear", "%s answers without TLS", r.Endpoint)
	case r.CAFile == "":
		return warning("name its authority's certificate in spec.registry.caFile, which the nodes get, unless their image has it",
			"%s is trusted by this host's system, and the nodes trust what their image does", r.Endpoint)
	}
	return ok("%s is trusted and answers as a registry", r.Endpoint)
}

// inSite names the fields of a site in the place of the flags of commands.
func inSite(remedy string) string {
	return strings.NewReplacer("--registry-ca FILE", "spec.registry.caFile", "say --plain-http ", "say plainHTTP: true in spec.registry for ",
		"leave out --plain-http", "remove plainHTTP", "say --token-server HOST", "name it in spec.registry.tokenServers").Replace(remedy)
}

// registryToken looks where the registry sends clients for a token.
func (e *examination) registryToken(ctx context.Context) finding {
	g, r := e.registry.greeting, e.site.Spec.Registry
	switch {
	case g.Challenge == "":
		return ok("no login is asked for")
	case g.Realm == nil || g.Realm.Host == "":
		return ok("logins go to the registry itself")
	}
	realm := &url.URL{Scheme: g.Realm.Scheme, Host: g.Realm.Host}
	switch {
	case r.PlainHTTP && realm.Scheme == "https":
		return failed("set the registry's external URL to http://"+r.Endpoint+" (Harbor: external_url in harbor.yml), or give it a certificate and remove plainHTTP",
			"the registry is reached without TLS but sends clients to %s for a token", realm)
	case !r.PlainHTTP && realm.Scheme != "https":
		return failed("set the registry's external URL to https://"+r.Endpoint, "the registry has TLS but sends clients to %s for a token, in the clear", realm)
	case realm.Host != r.Endpoint && realm.Hostname() != hostOf(r.Endpoint) && !slices.Contains(r.TokenServers, realm.Host) && !slices.Contains(r.TokenServers, realm.Hostname()):
		return failed("if that host is this site's token server, name it in spec.registry.tokenServers", "the registry sends clients to another host for a token: %s", realm)
	}
	if err := reach(ctx, realm); err != nil {
		return failed("check that the token server runs, its name and the firewall", "the token server %s: %v", realm, err)
	}
	return ok("tokens come from %s", realm)
}

func hostOf(endpoint string) string {
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		return host
	}
	return endpoint
}

func reach(ctx context.Context, u *url.URL) error {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// registryProject asks a Harbor; other registries make repositories as they
// are pushed to.
func (e *examination) registryProject(ctx context.Context) finding {
	user := orNobody(e.registry.login.Username)
	var there, missing []string
	for _, project := range e.projects() {
		found, err := e.registry.client.HarborProject(ctx, e.site.Spec.Registry.Endpoint, project)
		switch {
		case err != nil:
			return failedWith(err)
		case found == nil:
			return ok("the registry is no Harbor: it makes repositories as they are pushed to")
		case found.Exists:
			there = append(there, project)
		case found.Creatable:
			missing = append(missing, project)
		default:
			return failed("ask an administrator of Harbor to make it (Projects, New Project), and to give "+user+" the right to push; or to let "+user+" create projects",
				"Harbor has no project %s, or does not show it, and %s may not make it", project, user)
		}
	}
	if len(missing) > 0 {
		e.registry.unmade = true
		return ok("Harbor has no project %s yet: the installation makes it, private, as %s, who may do so", strings.Join(missing, ", "), user)
	}
	return ok("Harbor has the project %s", strings.Join(there, ", "))
}

// projects returns the first elements of the repositories that are filled.
func (e *examination) projects() []string {
	if e.options.Bundle != nil {
		if m, err := mirror.ParseMapping(e.site.Spec.Registry.Prefix, nil); err == nil {
			return mirror.Projects(e.options.Bundle, m)
		}
	}
	project, _, _ := strings.Cut(e.repository(), "/")
	return []string{project}
}

// untilMade is what can be said of a repository whose project is still to be made.
func untilMade() finding {
	return ok("Harbor's project is made by the installation, whose user owns it then")
}

func orNobody(user string) string { return cmp.Or(user, "the user of docker's configuration") }

// repository returns a repository that the installation fills: the first of the
// bundle, or else one that is never made.
func (e *examination) repository() string {
	if e.options.Bundle != nil {
		if m, err := mirror.ParseMapping(e.site.Spec.Registry.Prefix, nil); err == nil {
			for _, root := range e.options.Bundle.Statement().Roots {
				if name, _, err := m.Repository(root.Reference); err == nil {
					return name
				}
			}
		}
	}
	return path.Join(e.site.Spec.Registry.Prefix, "sealift-preflight")
}

func (e *examination) registryPush(ctx context.Context) finding {
	if e.registry.unmade {
		return untilMade()
	}
	repo, err := e.registry.client.Repository(e.site.Spec.Registry.Endpoint + "/" + e.repository())
	if err != nil {
		return failedWith(err)
	}
	canceled, err := repo.TryPush(ctx)
	if err != nil {
		return e.registryRefused(err)
	}
	if !canceled {
		return ok("an upload to %s was begun; the registry clears it away by itself", repo.Name())
	}
	return ok("an upload to %s was begun and canceled", repo.Name())
}

// registryRefused points to the credentials of the site.
func (e *examination) registryRefused(err error) finding {
	f := failedWith(err)
	if errors.Is(err, registry.ErrUnauthorized) {
		f.remedy = "check spec.registry.credentials: user name and password, or a robot account's name and token"
	}
	f.remedy = inSite(f.remedy)
	return f
}

// never is a tag that no repository has.
const never = "sealift-preflight"

func (e *examination) registryPull(ctx context.Context) finding {
	if e.registry.unmade {
		return untilMade()
	}
	repo, err := e.registry.client.Repository(e.site.Spec.Registry.Endpoint + "/" + e.repository())
	if err != nil {
		return failedWith(err)
	}
	if _, err := repo.Resolve(ctx, never); err != nil && !errors.Is(err, content.ErrNotFound) {
		return e.registryRefused(err)
	}
	return ok("%s may be pulled from", repo.Name())
}
