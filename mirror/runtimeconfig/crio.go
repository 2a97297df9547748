package runtimeconfig

import (
	"bytes"
	"path"
	"slices"
	"text/template"
)

// registriesConf is a part of registries.conf, of CRI-O, podman, skopeo and
// buildah. A blocked registry is not asked itself; its mirrors are.
const registriesConf = `# Written by sealift: images of these hosts are pulled from the mirror{{if .Blocked}} and from nowhere else{{end}}.
{{- if .Unqualified}}
# A name without a host is one of docker.io, as for other runtimes.
unqualified-search-registries = ["docker.io"]
{{- end}}
{{- range .Registries}}

[[registry]]
prefix = "{{.Prefix}}"
location = "{{.Location}}"
{{- if .Insecure}}
insecure = true
{{- end}}
{{- if .Mirror}}
{{- if $.Blocked}}
blocked = true
{{- end}}

[[registry.mirror]]
location = "{{.Mirror}}"
{{- if $.Insecure}}
insecure = true
{{- end}}
{{- end}}
{{- end}}
`

// entry is a [[registry]]: names that begin with Prefix are at Mirror, or
// without one at Location.
type entry struct {
	Prefix, Location, Mirror string
	Insecure                 bool
}

func writeCRIO(p *plan) (*Config, error) {
	files := p.authority(path.Join(p.Dir, "certs.d", p.registry, "ca.crt"))
	var entries []entry
	for _, s := range p.sources {
		for _, r := range s.routes {
			prefix, target := join(s.host, r.path), join(p.registry, r.target)
			if s.host == p.registry {
				// Blocked, the mirror could not be asked either.
				entries = append(entries, entry{Prefix: prefix, Location: target, Insecure: p.PlainHTTP})
				continue
			}
			entries = append(entries, entry{Prefix: prefix, Location: prefix, Mirror: target})
		}
	}
	if p.PlainHTTP && !p.mirrorsItself() {
		entries = append(entries, entry{Prefix: p.registry, Location: p.registry, Insecure: true})
	}
	var out bytes.Buffer
	t := template.Must(template.New("registries.conf").Parse(registriesConf))
	err := t.Execute(&out, struct {
		Registries                     []entry
		Blocked, Insecure, Unqualified bool
	}{entries, !p.Fallback, p.PlainHTTP, slices.ContainsFunc(p.sources, func(s source) bool { return s.host == "docker.io" })})
	if err != nil {
		return nil, err
	}
	files = append(files, File{Path: path.Join(p.Dir, "registries.conf.d", "50-sealift-mirror.conf"), Mode: 0o644, Content: out.Bytes()})
	notes := []string{"CRI-O reads it after: systemctl reload crio; podman, skopeo and buildah read it at once"}
	if len(p.Hosts) == 0 && len(p.Images) == 0 {
		notes = append(notes, "CRI-O has no setting for every host: a host that is not in the file is asked itself; name yours with --host or --bundle")
	}
	return &Config{Files: files, Notes: notes}, nil
}
