// Package site is what an administrator writes for one dark site, site.yaml:
// its types, how it is read, checked and completed with defaults, its JSON
// schema, its addresses, and how the credentials that it names are had.
//
// A site says where: registry, vCenter, network, sizes. What is installed there
// is the business of the bundle and its release; a site outlives many of them.
// No secret stands in a site.yaml, only where to get it.
package site

import (
	"fmt"
	"path/filepath"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/document"
	"github.com/sealift/sealift/internal/problem"
)

// What the file says it is.
const (
	APIVersion = "sealift.dev/v1"
	Kind       = "Site"
)

// maxSize is the largest site.yaml, in bytes, that is read.
const maxSize = 1 << 20

// ErrInvalid means: the file is not what it should be.
var ErrInvalid = document.ErrInvalid

// Site is one dark site.
type Site struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`

	dir string // that relative paths start at
}

// Metadata names a site.
type Metadata struct {
	Name string `json:"name"`
}

// Spec is what a site is like.
type Spec struct {
	// Bootstrap is where the first control plane runs until the cluster manages
	// itself; "" means local.
	Bootstrap Bootstrap `json:"bootstrap,omitempty" enum:"local,kind"`
	Registry  Registry  `json:"registry"`
	VCenter   VCenter   `json:"vcenter"`
	Network   Network   `json:"network"`
	Cluster   Cluster   `json:"cluster"`
	Console   Console   `json:"console,omitzero"`
}

// Bootstrap is a kind of temporary control plane.
type Bootstrap string

// The kinds of bootstrap.
const (
	BootstrapLocal Bootstrap = "local" // etcd, kube-apiserver and managers as processes of this host
	BootstrapKind  Bootstrap = "kind"  // a kind cluster on this host's Docker or Podman
)

// Registry is the site's registry, that the bundle is pushed to and the nodes
// pull from.
type Registry struct {
	Endpoint string `json:"endpoint"`         // HOST or HOST:PORT
	Prefix   string `json:"prefix,omitempty"` // path before every repository, such as a project
	CAFile   string `json:"caFile,omitempty"` // PEM; trusted besides the system's, here and on the nodes
	// PlainHTTP is for a registry without TLS.
	PlainHTTP bool `json:"plainHTTP,omitempty"`
	// TokenServers are hosts in the private network that the registry may send
	// credentials to for a token.
	TokenServers []string `json:"tokenServers,omitempty"`
	// Credentials may be left out: docker's configuration is asked then.
	Credentials Credentials `json:"credentials,omitzero"`
}

// VCenter is the vCenter and the places in its inventory. A place is a name, or
// an inventory path such as /DC0/vm/sealift where the name is not unique.
type VCenter struct {
	Server      string      `json:"server"`               // HOST or HOST:PORT
	CAFile      string      `json:"caFile,omitempty"`     // PEM
	Thumbprint  string      `json:"thumbprint,omitempty"` // SHA-1 or SHA-256 of the certificate, as AA:BB:..., instead of caFile
	Credentials Credentials `json:"credentials"`

	Datacenter   string `json:"datacenter"`
	Cluster      string `json:"cluster"` // the compute cluster
	Datastore    string `json:"datastore"`
	Network      string `json:"network"`                // a network or port group
	Folder       string `json:"folder"`                 // for machines, below the datacenter's
	ResourcePool string `json:"resourcePool,omitempty"` // "" means CLUSTER/Resources
	// TemplateFolder is for templates; "" means Folder.
	TemplateFolder string `json:"templateFolder,omitempty"`
}

// Network is how the nodes are reached and what they reach.
type Network struct {
	Addresses Addresses `json:"addresses"`
	// ControlPlaneEndpoint is the virtual address of the API server, outside of
	// the range.
	ControlPlaneEndpoint string   `json:"controlPlaneEndpoint"`
	Nameservers          []string `json:"nameservers,omitempty"`
	SearchDomains        []string `json:"searchDomains,omitempty"`
	NTP                  []string `json:"ntp,omitempty"` // hosts or addresses
	Proxy                Proxy    `json:"proxy,omitzero"`
}

// Addresses are those of the nodes.
type Addresses struct {
	Range   string `json:"range,omitempty"` // FIRST-LAST, both included
	Prefix  int    `json:"prefix,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	DHCP    bool   `json:"dhcp,omitempty"` // instead of the others
}

// Proxy is what the nodes use to leave their network.
type Proxy struct {
	HTTP    string   `json:"http,omitempty"`
	HTTPS   string   `json:"https,omitempty"`
	NoProxy []string `json:"noProxy,omitempty"` // besides the site's own hosts and networks
}

// Cluster is the management cluster.
type Cluster struct {
	Name string `json:"name,omitempty"` // "" means enterprise
	// KubernetesVersion, such as v1.34.4, holds an upgrade back; "" means that
	// of the bundle's release.
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// Template is the name of the template in TemplateFolder; "" means that of
	// the bundle's release. One that is absent is imported from the bundle.
	Template     string       `json:"template,omitempty"`
	PodCIDR      string       `json:"podCIDR,omitempty"`     // "" means 100.64.0.0/16
	ServiceCIDR  string       `json:"serviceCIDR,omitempty"` // "" means 100.96.0.0/16
	ControlPlane ControlPlane `json:"controlPlane,omitzero"`
	// Workers are the pools of workers; without any, the control plane has no
	// taint and everything runs there.
	Workers           []WorkerPool `json:"workers,omitempty"`
	SSHAuthorizedKeys []string     `json:"sshAuthorizedKeys,omitempty"`
}

// ControlPlane is the machines of the control plane.
type ControlPlane struct {
	Replicas int  `json:"replicas,omitempty"` // 1, 3 or 5; 0 means 3
	Size     Size `json:"size,omitzero"`      // default small
}

// WorkerPool is a group of equal workers.
type WorkerPool struct {
	Name     string `json:"name"`
	Replicas int    `json:"replicas,omitempty"` // 0 means 1
	Size     Size   `json:"size,omitzero"`      // default small
}

// Console is the system console in the cluster.
type Console struct {
	Hostname string `json:"hostname,omitempty"` // "" means the control plane's address
	TLS      TLS    `json:"tls,omitzero"`       // self-signed when empty
}

// TLS is a certificate and its key, in PEM files.
type TLS struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// Path returns where a path of the site is: relative ones start at the folder
// that site.yaml lies in. Of "" it returns "".
func (s *Site) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, path)
}

// Load reads the site at path, checks it and fills in the defaults.
func Load(path string) (*Site, error) {
	data, err := content.ReadFile(path, maxSize)
	if err != nil {
		return nil, problem.New(problem.Usage, "sealift site init writes one", "reading the site: %w", err)
	}
	s, err := Parse(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", path, err)
	}
	return s, nil
}

// Parse reads and checks a site whose relative paths start at dir, and fills in
// the defaults. Its error is ErrInvalid and names every problem, each with its
// line and the path of its field.
func Parse(data []byte, dir string) (*Site, error) {
	s := &Site{dir: dir}
	check := func() []string {
		s.complete()
		return s.validate()
	}
	if err := document.Decode(data, s, check, document.Options{Lines: true}); err != nil {
		return nil, err
	}
	return s, nil
}
