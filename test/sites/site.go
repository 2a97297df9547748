// Package sites has the site of a test: the site.yaml that fits the simulated
// vCenter, a site of this machine with a vCenter and a registry, and the bundle
// that is installed there.
package sites

import (
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
)

// Site is what of a site.yaml a test decides. The zero value has one control
// plane, no workers and DHCP, and servers that are nowhere.
type Site struct {
	Bootstrap         string // "" leaves it to the default
	Registry, VCenter Server
	Network           Network
	Template          string // of the nodes; "" leaves it to the release
	ControlPlanes     int    // 0 means 1
	Workers           int    // in a pool named default; 0 means no pool
	Hostname          string // of the console; "" names none
}

// Server is where a server of a site is, how it is trusted, and how one logs in.
type Server struct {
	Address    string // HOST[:PORT]
	CAFile     string // "" trusts what the system trusts
	Thumbprint string // of a vCenter's certificate; "" names none
	PlainHTTP  bool   // for a registry without TLS
	Login      string // the variables' prefix, as R of R_USERNAME; "" asks
}

// Network is the network of the nodes. Every field may be empty.
type Network struct {
	Addresses                       string // as in site.yaml; "" means DHCP
	Endpoint                        string // of the control plane; "" means 192.0.2.10
	Nameservers, SearchDomains, NTP []string
}

// Name is the site's.
const Name = "north"

const text = `apiVersion: sealift.dev/v1
kind: Site
metadata: {name: ` + Name + `}
spec:
{{- with .Bootstrap}}
  bootstrap: {{.}}
{{- end}}
  registry: {endpoint: "{{.Registry.Address}}", prefix: sealift
{{- if .Registry.PlainHTTP}}, plainHTTP: true{{end}}
{{- with .Registry.CAFile}}, caFile: {{.}}{{end}}, credentials: {{template "login" .Registry.Login}}}
  vcenter:
    server: "{{.VCenter.Address}}"
{{- with .VCenter.CAFile}}
    caFile: {{.}}
{{- end}}
{{- with .VCenter.Thumbprint}}
    thumbprint: "{{.}}"
{{- end}}
    credentials: {{template "login" .VCenter.Login}}
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    templateFolder: templates
    resourcePool: cluster-a/Resources/sealift
  network:
    addresses: {{or .Network.Addresses "{dhcp: true}"}}
    controlPlaneEndpoint: {{or .Network.Endpoint "192.0.2.10"}}
{{- with .Network.Nameservers}}
    nameservers: [{{join .}}]
{{- end}}
{{- with .Network.SearchDomains}}
    searchDomains: [{{join .}}]
{{- end}}
{{- with .Network.NTP}}
    ntp: [{{range $i, $server := .}}{{if $i}}, {{end}}"{{$server}}"{{end}}]
{{- end}}
  cluster:
{{- with .Template}}
    template: {{.}}
{{- end}}
    controlPlane: {replicas: {{or .ControlPlanes 1}}, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}
{{- with .Workers}}
    workers: [{name: default, replicas: {{.}}, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}]
{{- end}}
{{- with .Hostname}}
  console: {hostname: {{.}}}
{{- end}}
{{define "login"}}{{with .}}{fromEnv: {{.}}}{{else}}prompt{{end}}{{end}}`

// Text returns the site's site.yaml.
func (s Site) Text(t testing.TB) string {
	t.Helper()
	parsed, err := template.New("site.yaml").Funcs(template.FuncMap{"join": func(all []string) string { return strings.Join(all, ", ") }}).Parse(text)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, parsed.Execute(&out, s))
	return out.String()
}
