package site

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/semver"
)

// Names have these forms.
var (
	namePattern       = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	hostPattern       = regexp.MustCompile(`^([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)*\.?$`)
	thumbprintPattern = regexp.MustCompile(`^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19}((:[0-9A-Fa-f]{2}){12})?$`)
)

// problems collects what is wrong, each with the path of its field.
type problems []string

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, path+": "+fmt.Sprintf(format, args...))
}

func (p *problems) required(path, value, example string) bool {
	if value == "" {
		p.add(path, "is empty; it is needed: %s", example)
	}
	return value != ""
}

// validate returns what is wrong with a site whose defaults are filled in.
func (s *Site) validate() []string {
	var out problems
	if s.APIVersion != APIVersion {
		out.add("apiVersion", "is %q, not %q", s.APIVersion, APIVersion)
	}
	if s.Kind != Kind {
		out.add("kind", "is %q, not %q", s.Kind, Kind)
	}
	checkName(&out, "metadata.name", s.Metadata.Name)
	if b := s.Spec.Bootstrap; b != BootstrapLocal && b != BootstrapKind {
		out.add("spec.bootstrap", "%q is neither local nor kind", b)
	}
	s.Spec.Registry.validate(&out, "spec.registry")
	s.Spec.VCenter.validate(&out, "spec.vcenter")
	s.Spec.Network.validate(&out, "spec.network", s.Spec.Cluster)
	s.Spec.Cluster.validate(&out, "spec.cluster")
	s.Spec.networks(&out, "spec.cluster")
	s.Spec.Console.validate(&out, "spec.console")
	return out
}

func checkName(out *problems, at, name string) {
	if !namePattern.MatchString(name) {
		out.add(at, "%q is not a name of lower-case letters, digits and '-' of at most 63", name)
	}
}

func (r Registry) validate(out *problems, at string) {
	if out.required(at+".endpoint", r.Endpoint, "HOST or HOST:PORT") {
		if named, err := reference.ParseNormalizedNamed(r.Endpoint + "/any"); err != nil || reference.Domain(named) != r.Endpoint {
			out.add(at+".endpoint", "%q is not HOST or HOST:PORT", r.Endpoint)
		}
	}
	if r.Prefix != "" {
		if _, err := reference.WithName("registry.invalid/" + r.Prefix); err != nil {
			out.add(at+".prefix", "%q is no path of lower-case letters, digits, and single . _ - or / between them", r.Prefix)
		}
	}
	if r.PlainHTTP && r.CAFile != "" {
		out.add(at+".caFile", "a registry without TLS (plainHTTP) has no certificate")
	}
	for i, host := range r.TokenServers {
		checkHost(out, fmt.Sprintf("%s.tokenServers[%d]", at, i), host)
	}
	if r.Credentials != (Credentials{}) {
		r.Credentials.validate(out, at+".credentials")
	}
}

func (v VCenter) validate(out *problems, at string) {
	if out.required(at+".server", v.Server, "HOST or HOST:PORT") {
		checkHost(out, at+".server", v.Server)
	}
	if v.CAFile != "" && v.Thumbprint != "" {
		out.add(at, "give caFile or thumbprint, not both")
	}
	if v.Thumbprint != "" && !thumbprintPattern.MatchString(v.Thumbprint) {
		out.add(at+".thumbprint", "%q is not the SHA-1 or SHA-256 of a certificate, as AA:BB:...", v.Thumbprint)
	}
	v.Credentials.validate(out, at+".credentials")
	for _, f := range []struct{ name, value string }{
		{"datacenter", v.Datacenter}, {"cluster", v.Cluster}, {"datastore", v.Datastore}, {"network", v.Network}, {"folder", v.Folder},
	} {
		out.required(at+"."+f.name, f.value, "a name or an inventory path")
	}
}

// checkHost checks HOST or HOST:PORT.
func checkHost(out *problems, at, value string) {
	host := value
	if h, port, err := net.SplitHostPort(value); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			out.add(at, "%q has no port from 1 to 65535", value)
			return
		}
		host = h
	}
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostPattern.MatchString(host)) {
		out.add(at, "%q is not HOST or HOST:PORT", value)
	}
}

func (c Cluster) validate(out *problems, at string) {
	checkName(out, at+".name", c.Name)
	if v := c.KubernetesVersion; v != "" && (!semver.IsValid(v) || strings.Count(v, ".") < 2) {
		out.add(at+".kubernetesVersion", "%q is not a version such as v1.34.4", v)
	}
	if strings.ContainsAny(c.Template, `/\`) {
		out.add(at+".template", "%q is not the name of a template; its folder is spec.vcenter.templateFolder", c.Template)
	}
	if n := c.ControlPlane.Replicas; n != 1 && n != 3 && n != 5 {
		out.add(at+".controlPlane.replicas", "is %d, not 1, 3 or 5", n)
	}
	c.ControlPlane.Size.validate(out, at+".controlPlane.size")
	seen := map[string]bool{}
	for i, w := range c.Workers {
		below := fmt.Sprintf("%s.workers[%d]", at, i)
		checkName(out, below+".name", w.Name)
		if seen[w.Name] {
			out.add(below+".name", "%s stands twice", w.Name)
		}
		seen[w.Name] = true
		if w.Replicas < 1 {
			out.add(below+".replicas", "is %d; it must be 1 or more", w.Replicas)
		}
		w.Size.validate(out, below+".size")
	}
	for i, key := range c.SSHAuthorizedKeys {
		if _, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(key)); err != nil || len(rest) > 0 {
			out.add(fmt.Sprintf("%s.sshAuthorizedKeys[%d]", at, i), "is not one public key such as \"ssh-ed25519 AAAA...\"")
		}
	}
}

func (c Console) validate(out *problems, at string) {
	if c.Hostname != "" && (strings.Contains(c.Hostname, ":") || !hostPattern.MatchString(c.Hostname)) {
		if _, err := netip.ParseAddr(c.Hostname); err != nil {
			out.add(at+".hostname", "%q is not the name of a host", c.Hostname)
		}
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		out.add(at+".tls", "needs both certFile and keyFile, or neither")
	}
}

func (p Proxy) validate(out *problems, at string) {
	for _, f := range []struct{ name, value string }{{"http", p.HTTP}, {"https", p.HTTPS}} {
		if f.value == "" {
			continue
		}
		u, err := url.Parse(f.value)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
			out.add(at+"."+f.name, "is not a URL such as http://proxy.site:3128")
		case u.User != nil:
			out.add(at+"."+f.name, "holds credentials; no secret stands in a site")
		}
	}
}
