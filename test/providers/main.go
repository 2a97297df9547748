// Command providers writes the components of Cluster API's providers that ship
// with sealift, one file each, from the sources of the very modules that the
// lab compiles the managers from.
//
// What upstream publishes with a release is made in the same way: kustomize
// over a module's config folder, then the image's name. Here further
//
//   - variables have their defaults, as nothing resolves them in a dark site,
//   - everything of cert-manager is left out: the installer issues the webhooks'
//     certificates, puts them into the Secrets that the Deployments mount, and
//     their authority into caBundle of webhooks and of CRDs' conversions,
//   - the label that clusterctl adds when it applies is there already,
//   - fields of CRDs have no descriptions, which are three fifths of upstream's
//     text and change nothing but the output of kubectl explain.
//
// It is run by "make generate".
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	programs := flag.String("programs", "test/lab/programs", "folder of the modules that pin the versions")
	out := flag.String("o", "manifests/enterprise/providers", "folder of the results")
	flag.Parse()
	if err := run(*programs, *out); err != nil {
		fmt.Fprintln(os.Stderr, "providers:", err)
		os.Exit(1)
	}
}

// provider is where the components of one provider come from.
type provider struct {
	file   string // without its ending
	pins   string // folder of the programs' module that pins the version
	module string // Go module
	config string // folder of the module with its kustomization
	image  string // without a tag: that is the module's version
	values map[string]string
}

func providers() []provider {
	const pins, core = "clusterapi", "sigs.k8s.io/cluster-api"
	return []provider{
		{file: "core", pins: pins, module: core, config: "config/default",
			image: "registry.k8s.io/cluster-api/cluster-api-controller"},
		{file: "bootstrap-kubeadm", pins: pins, module: core, config: "bootstrap/kubeadm/config/default",
			image: "registry.k8s.io/cluster-api/kubeadm-bootstrap-controller"},
		{file: "control-plane-kubeadm", pins: pins, module: core, config: "controlplane/kubeadm/config/default",
			image: "registry.k8s.io/cluster-api/kubeadm-control-plane-controller"},
		// Each VSphereCluster names the Secret with its own credentials, so
		// that the manager needs none.
		{file: "infrastructure-vsphere", pins: pins, module: "sigs.k8s.io/cluster-api-provider-vsphere", config: "config/default",
			image:  "registry.k8s.io/cluster-api-vsphere/cluster-api-vsphere-controller",
			values: map[string]string{"VSPHERE_USERNAME": "", "VSPHERE_PASSWORD": ""}},
		{file: "ipam-in-cluster", pins: "ipam", module: "sigs.k8s.io/cluster-api-ipam-provider-in-cluster", config: "config/default",
			image: "registry.k8s.io/capi-ipam-ic/cluster-api-ipam-in-cluster-controller"},
	}
}

func run(programs, out string) error {
	for _, p := range providers() {
		source, err := find(filepath.Join(programs, p.pins), p.module)
		if err != nil {
			return err
		}
		text, err := p.components(source)
		if err != nil {
			return fmt.Errorf("components of %s: %w", p.file, err)
		}
		if err := os.WriteFile(filepath.Join(out, p.file+".yaml"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
