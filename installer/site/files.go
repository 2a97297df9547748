package site

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// SiteFile is the name of the site among its Files.
const SiteFile = "site.yaml"

// maxFile is the largest file that a site names, in bytes, that is read.
const maxFile = 1 << 20

// Files returns what another host needs to work with the site, by file name:
// the site itself, the authorities that it names, and the logins. Load reads
// them from any folder. What belongs to the host of the installation alone is
// left out: the kind of bootstrap, and the console's first certificate.
func (s *Site) Files(vcenter, registry Login) (map[string][]byte, error) {
	out, other := map[string][]byte{}, *s
	other.Spec.Bootstrap, other.Spec.Console.TLS = "", TLS{}
	for name, path := range map[string]*string{"registry-ca.crt": &other.Spec.Registry.CAFile, "vcenter-ca.crt": &other.Spec.VCenter.CAFile} {
		if *path == "" {
			continue
		}
		data, err := content.ReadFile(s.Path(*path), maxFile)
		if err != nil {
			return nil, fmt.Errorf("reading what the site names: %w", err)
		}
		out[name], *path = data, name
	}
	for name, login := range map[string]struct {
		Login
		to *Credentials
	}{"vcenter-login.yaml": {vcenter, &other.Spec.VCenter.Credentials}, "registry-login.yaml": {registry, &other.Spec.Registry.Credentials}} {
		*login.to = Credentials{}
		if login.Username == "" {
			continue
		}
		data, err := yaml.Marshal(map[string]string{"username": login.Username, "password": login.Password.Reveal()})
		if err != nil {
			return nil, err
		}
		out[name], *login.to = data, Credentials{File: name}
	}
	data, err := yaml.Marshal(other)
	out[SiteFile] = data
	return out, err
}

// CheckFiles fails when a file that the site names cannot be read, and names
// each with its field. Load does not ask: a site is also described where its
// files are not.
func (s *Site) CheckFiles() error {
	spec := s.Spec
	var failures []error
	for _, f := range []struct{ at, path string }{
		{"spec.registry.caFile", spec.Registry.CAFile}, {"spec.registry.credentials.file", spec.Registry.Credentials.File},
		{"spec.vcenter.caFile", spec.VCenter.CAFile}, {"spec.vcenter.credentials.file", spec.VCenter.Credentials.File},
		{"spec.console.tls.certFile", spec.Console.TLS.CertFile}, {"spec.console.tls.keyFile", spec.Console.TLS.KeyFile},
	} {
		if f.path == "" {
			continue
		}
		if _, err := content.ReadFile(s.Path(f.path), maxFile); err != nil {
			failures = append(failures, fmt.Errorf("  %s: %w", f.at, err))
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return problem.New(problem.Usage, "put them there, or mend the paths, which start at the folder of the site", "files that the site names cannot be read:\n%w", errors.Join(failures...))
}
