package release

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/distribution/reference"
	"golang.org/x/mod/semver"
)

// Names have this form, as in a definition.
var namePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)

// problems collects what is wrong, each with the path of its field.
type problems []string

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, path+": "+fmt.Sprintf(format, args...))
}

func (p *problems) name(path, value string) {
	if !namePattern.MatchString(value) {
		p.add(path, "%q is not a name of lower-case letters, digits, '-' and '.' of at most 63", value)
	}
}

// version checks for the form v1.2.3, which Kubernetes and its providers use.
func (p *problems) version(path, value string) {
	if semver.Canonical(value) != value || value == "" {
		p.add(path, "%q is not a version such as v1.34.4", value)
	}
}

func (r *Release) validate() []string {
	var out problems
	if r.APIVersion != APIVersion {
		out.add("apiVersion", "is %q, not %q", r.APIVersion, APIVersion)
	}
	if r.Kind != Kind {
		out.add("kind", "is %q, not %q", r.Kind, Kind)
	}
	out.name("metadata.name", r.Metadata.Name)
	if !semver.IsValid("v" + r.Metadata.Version) {
		out.add("metadata.version", "%q is not a version such as 1.4.0", r.Metadata.Version)
	}
	s := r.Spec
	out.version("spec.kubernetesVersion", s.KubernetesVersion)
	out.name("spec.template.name", s.Template.Name)
	out.name("spec.template.file", s.Template.File)
	for _, image := range s.Images.roles() {
		image.validate(&out)
	}
	validateProviders(&out, s.Providers)
	validateAddons(&out, s.Addons)
	if s.Console.Chart != "" {
		out.name("spec.console.chart", s.Console.Chart)
	}
	return out
}

// role is an image and what it is for.
type role struct {
	field, reference string
	optional         bool
}

// roles returns all images in the order of their fields.
func (i Images) roles() []role {
	return []role{
		{"etcd", i.Etcd, false}, {"kubeAPIServer", i.APIServer, false}, {"kubeControllerManager", i.ControllerManager, false},
		{"kubeScheduler", i.Scheduler, false}, {"kubeProxy", i.Proxy, false}, {"coreDNS", i.CoreDNS, false},
		{"pause", i.Pause, false}, {"kubeVIP", i.KubeVIP, false}, {"kindNode", i.KindNode, true},
	}
}

func (r role) validate(out *problems) {
	at := "spec.images." + r.field
	if r.reference == "" {
		if !r.optional {
			out.add(at, "is empty; it is needed: a reference such as registry.k8s.io/pause:3.10")
		}
		return
	}
	named, err := reference.ParseNamed(r.reference)
	switch {
	case err != nil:
		out.add(at, "%q is not a full reference with its registry: %v", r.reference, err)
	case reference.IsNameOnly(named):
		out.add(at, "%q has no tag", r.reference)
	}
}

func validateProviders(out *problems, providers []Provider) {
	known := []ProviderType{Core, Bootstrap, ControlPlane, Infrastructure, IPAM}
	types := map[ProviderType]bool{}
	for i, p := range providers {
		at := fmt.Sprintf("spec.providers[%d]", i)
		out.name(at+".name", p.Name)
		out.version(at+".version", p.Version)
		out.name(at+".manifests", p.Manifests)
		switch {
		case !slices.Contains(known, p.Type):
			out.add(at+".type", "%q is none of %v", p.Type, known)
		case types[p.Type]:
			out.add(at+".type", "there is a provider of the type %s already", p.Type)
		}
		types[p.Type] = true
	}
	for _, t := range known[:4] {
		if !types[t] {
			out.add("spec.providers", "there is none of the type %s", t)
		}
	}
}

func validateAddons(out *problems, addons []Addon) {
	known := []AddonType{CNI, CPI, CSI, Other}
	names, types := map[string]bool{}, map[AddonType]bool{}
	for i, a := range addons {
		at := fmt.Sprintf("spec.addons[%d]", i)
		out.name(at+".name", a.Name)
		if names[a.Name] {
			out.add(at+".name", "%s stands twice", a.Name)
		}
		names[a.Name], types[a.Type] = true, true
		if !slices.Contains(known, a.Type) {
			out.add(at+".type", "%q is none of %v", a.Type, known)
		}
		switch {
		case (a.Manifests == "") == (a.Pack == ""):
			out.add(at, "needs either manifests or pack")
		case a.Pack != "":
			out.name(at+".pack", a.Pack)
		default:
			out.name(at+".manifests", a.Manifests)
		}
	}
	for _, t := range known[:2] {
		if !types[t] {
			out.add("spec.addons", "there is none of the type %s: the nodes would never be ready", t)
		}
	}
}
