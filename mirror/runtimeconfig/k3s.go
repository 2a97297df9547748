package runtimeconfig

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// registries is registries.yaml of k3s and RKE2.
type registries struct {
	Mirrors map[string]endpoints      `yaml:"mirrors"`
	Configs map[string]registryConfig `yaml:"configs,omitempty"`
}

type endpoints struct {
	Endpoint []string          `yaml:"endpoint"`
	Rewrite  map[string]string `yaml:"rewrite,omitempty"` // regular expression to replacement
}

type registryConfig struct {
	Auth *credentials `yaml:"auth,omitempty"`
	TLS  *authority   `yaml:"tls,omitempty"`
}

type credentials struct {
	Username string `yaml:"username"`
	Password string `yaml:"password"`
}

type authority struct {
	CAFile string `yaml:"ca_file"`
}

func writeK3s(p *plan) (*Config, error) {
	ca := path.Join(p.Dir, "registry-ca.crt")
	out := &Config{Files: p.authority(ca), Notes: []string{"restart k3s (rke2-server, rke2-agent) on each node: it reads registries.yaml when it starts"}}
	r := registries{Mirrors: map[string]endpoints{}}
	var faults []error
	for _, s := range p.sources {
		rewrite, err := rewrites(s)
		faults = append(faults, err)
		host := s.host
		if host == EveryHost {
			host = "*"
		}
		r.Mirrors[host] = endpoints{[]string{p.url()}, rewrite}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if !p.mirrorsItself() {
		r.Mirrors[p.registry] = endpoints{Endpoint: []string{p.url()}} // else "*" would be for it too
	}
	var config registryConfig
	if len(p.CA) > 0 {
		config.TLS = &authority{ca}
	}
	if p.Username != "" {
		config.Auth = &credentials{p.Username, p.Password}
		out.Warnings = append(out.Warnings, "registries.yaml holds a password")
	}
	if config != (registryConfig{}) {
		r.Configs = map[string]registryConfig{p.registry: config}
	}
	if !p.Fallback {
		out.Files = append(out.Files, File{Path: path.Join(p.Dir, "config.yaml.d", "sealift-mirror.yaml"), Mode: 0o644,
			Content: []byte("# Written by sealift: nodes ask the mirror and never the source itself.\ndisable-default-registry-endpoint: true\n")})
	}
	data, err := encodeYAML("# Written by sealift: images of these hosts are pulled from the mirror.", r)
	if err != nil {
		return nil, err
	}
	out.Files = append(out.Files, File{Path: path.Join(p.Dir, "registries.yaml"), Mode: 0o600, Content: data})
	return out, nil
}

// rewrites returns the routes of a source as k3s has them. k3s tries them in
// no order and takes the first that changes the name: no two may fit one name.
func rewrites(s source) (map[string]string, error) {
	out := map[string]string{}
	var faults []error
	for i, r := range s.routes {
		if r.path == "" {
			if r.target != "" && !r.unused {
				out["^(.*)$"] = r.target + "/$1"
			}
			continue
		}
		for _, other := range s.routes[:i] {
			if other.path == "" && (other.target == "" || other.unused) {
				continue
			}
			if other.path == "" || strings.HasPrefix(r.path, other.path+"/") {
				faults = append(faults, s.elsewhere(r, fmt.Sprintf("it lies within %s, and k3s tries rewrites in no order", strings.Trim(s.host+"/"+other.path, "/"))))
				break
			}
		}
		if r.target == "" {
			out["^"+literal(r.path)+"/(.*)$"] = "$1"
		} else {
			out["^"+literal(r.path)+"(/.*)?$"] = r.target + "$1"
		}
	}
	return out, errors.Join(faults...)
}

// literal quotes a path for a regular expression without a backslash: older
// k3s copy the expression into a TOML file as it is.
func literal(path string) string {
	return strings.ReplaceAll(path, ".", "[.]") // the only special character of a path
}
