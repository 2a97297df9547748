// Package release is what one enterprise bundle installs: release.yaml, a file
// among the bundle's files that names the version of Kubernetes, the machine
// image, the providers of Cluster API, the addons and the console.
//
// A site says where, a release says what. The installer is driven by the bundle
// alone: a bundle with a newer release is an upgrade.
package release

import (
	"fmt"

	"github.com/sealift/sealift/bundles/document"
)

// What the file says it is, and its name among a bundle's files.
const (
	APIVersion = "sealift.dev/v1"
	Kind       = "Release"
	FileName   = "release.yaml"
)

// maxSize is the largest release.yaml, in bytes, that is read.
const maxSize = 1 << 20

// ErrInvalid means: the file is not what it should be.
var ErrInvalid = document.ErrInvalid

// Release is what release.yaml says.
type Release struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names a release.
type Metadata struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Spec is what is installed. Manifests, charts, packs and files are named as
// in the bundle: by the last part of their reference, without the tag.
type Spec struct {
	KubernetesVersion string     `json:"kubernetesVersion"` // such as v1.34.4
	Template          Template   `json:"template"`
	Images            Images     `json:"images"`
	Providers         []Provider `json:"providers"`
	Addons            []Addon    `json:"addons"`
	Console           Console    `json:"console,omitzero"`
}

// Template is the machine image of the nodes.
type Template struct {
	Name string `json:"name"` // in vCenter, unless the site names another
	File string `json:"file"` // the OVA
}

// Images are images by what they are for, as full references. The nodes run
// those of the control plane; the local bootstrap takes etcd and kube-apiserver
// out of the same.
type Images struct {
	Etcd              string `json:"etcd"`
	APIServer         string `json:"kubeAPIServer"`
	ControllerManager string `json:"kubeControllerManager"`
	Scheduler         string `json:"kubeScheduler"`
	Proxy             string `json:"kubeProxy"`
	CoreDNS           string `json:"coreDNS"`
	Pause             string `json:"pause"`
	KubeVIP           string `json:"kubeVIP"`
	// KindNode is the node image of bootstrap: kind; "" where a bundle has none.
	KindNode string `json:"kindNode,omitempty"`
}

// ProviderType is what a provider is to Cluster API, as clusterctl names it.
type ProviderType string

// The types of providers.
const (
	Core           ProviderType = "core"
	Bootstrap      ProviderType = "bootstrap"
	ControlPlane   ProviderType = "control-plane"
	Infrastructure ProviderType = "infrastructure"
	IPAM           ProviderType = "ipam"
)

// Provider is a provider of Cluster API.
type Provider struct {
	Name      string       `json:"name"` // such as cluster-api, kubeadm, vsphere
	Type      ProviderType `json:"type"`
	Version   string       `json:"version"`   // such as v1.13.6
	Manifests string       `json:"manifests"` // its components
}

// AddonType is what an addon is to the cluster.
type AddonType string

// The types of addons, in the order in which they are installed.
const (
	CNI AddonType = "cni"
	CPI AddonType = "cpi"
	CSI AddonType = "csi"
	// Other is what is no part of the cluster's own needs.
	Other AddonType = "addon"
)

// Addon is what a cluster needs before its nodes are ready, or what else every
// site gets: manifests or a pack.
type Addon struct {
	Name      string    `json:"name"`
	Type      AddonType `json:"type"`
	Manifests string    `json:"manifests,omitempty"`
	Pack      string    `json:"pack,omitempty"`
}

// Console is the system console.
type Console struct {
	Chart string `json:"chart,omitempty"` // "" installs none
}

// Parse reads and checks a release. Its error is ErrInvalid and names every
// problem, each with its line and the path of its field.
func Parse(data []byte) (*Release, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("it has more than %d bytes: %w", maxSize, ErrInvalid)
	}
	r := &Release{}
	if err := document.Decode(data, r, r.validate, document.Options{Lines: true}); err != nil {
		return nil, err
	}
	return r, nil
}
