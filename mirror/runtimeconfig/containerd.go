package runtimeconfig

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// hosts is what a hosts.toml of containerd says.
type hosts struct {
	comment  string
	url      string // of the mirror
	server   bool   // whether the mirror is also the server, which is asked last
	override bool   // whether the path of url is the whole beginning of the API
	ca       string // path on the node, or ""
}

// file returns the hosts.toml.
//
// The mirror stands there twice: as a host, because containerd 1.6 and 1.7
// take a file without hosts for a broken one, and then ask the source itself;
// and as the server, because without one the source itself is asked last.
// Capabilities are named, so that nothing is ever pushed.
func (h hosts) file() []byte {
	lines := []string{"# Written by sealift: " + h.comment}
	if h.server {
		lines = append(lines, `server = "`+h.url+`"`)
		lines = append(lines, h.how("")...)
	}
	lines = append(lines, "", `[host."`+h.url+`"]`)
	lines = append(lines, h.how("  ")...)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// how returns the lines by which a server or a host is asked.
func (h hosts) how(indent string) []string {
	lines := []string{indent + `capabilities = ["pull", "resolve"]`}
	if h.override {
		lines = append(lines, indent+"override_path = true")
	}
	if h.ca != "" {
		lines = append(lines, indent+`ca = "`+h.ca+`"`)
	}
	return lines
}

func writeContainerd(p *plan) (*Config, error) {
	ca := path.Join(p.Dir, hostFolder(p.registry), "ca.crt")
	files := p.authority(ca)
	if len(files) == 0 {
		ca = ""
	}
	var faults []error
	for _, s := range p.sources {
		for _, r := range s.routes[1:] {
			faults = append(faults, s.elsewhere(r, "containerd can send only a whole host elsewhere"))
		}
		h := hosts{comment: comment(s.host, p.Fallback), url: p.url(), server: !p.Fallback, ca: ca}
		if target := s.routes[0].target; target != "" {
			h.url, h.override = p.url()+"/v2/"+target, true
		}
		files = append(files, File{hostsFile(p.Dir, s.host), 0o644, h.file()})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if !p.mirrorsItself() {
		// It would be a host like any other: without the authority, and with
		// EveryHost configured, found below the prefix of the mirror.
		h := hosts{comment: "the mirror itself, for images that are named by its host.", url: p.url(), server: true, ca: ca}
		files = append(files, File{hostsFile(p.Dir, p.registry), 0o644, h.file()})
	}
	return &Config{Files: files, Notes: []string{"containerd reads these files, and every change to them, when its config.toml has these lines; restart it once for them:\n" + ContainerdPatch(1, p.Dir) + ContainerdPatch(2, p.Dir)}}, nil
}

func comment(host string, fallback bool) string {
	what := "images of " + host
	if host == EveryHost {
		what = "images of every other host"
	}
	if fallback {
		return what + " are pulled from the mirror, and from their source if the mirror lacks them."
	}
	return what + " are pulled from the mirror and from nowhere else."
}

func hostsFile(dir, host string) string { return path.Join(dir, hostFolder(host), "hosts.toml") }

// hostFolder returns the name that containerd gives the folder of a host: a
// port stands between underscores, registry.site_5000_.
func hostFolder(host string) string {
	i := strings.LastIndex(host, ":")
	if i < 0 || strings.HasSuffix(host, "]") { // an IPv6 address without a port
		return host
	}
	return host[:i] + "_" + host[i+1:] + "_"
}

// ContainerdPatch returns the lines of config.toml by which containerd of a
// major version reads the files in dir. They belong into config.toml itself:
// containerd 1.7 replaces a plugin's whole section by that of an imported file.
func ContainerdPatch(major int, dir string) string {
	which, plugin := "containerd 2, config.toml of version 3", "io.containerd.cri.v1.images"
	if major < 2 {
		which, plugin = "containerd 1.6 and 1.7, or config.toml of version 2", "io.containerd.grpc.v1.cri"
	}
	return fmt.Sprintf("# %s\n[plugins.\"%s\".registry]\n  config_path = \"%s\"\n", which, plugin, dir)
}
