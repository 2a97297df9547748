package status

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/template"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/mirror"
)

// step notes how far a part of the installation is. An error means that what
// could tell does not answer.
func (x *examination) step(name string, done bool, detail string, err error) {
	s := Step{Name: name, State: Open, Detail: detail}
	switch {
	case err != nil:
		s.State, s.Detail = Unknown, err.Error()
		x.problem("%s: %v", name, err)
	case done:
		s.State = Done
	default:
		x.problem("%s: %s", name, detail)
	}
	x.report.Steps = append(x.report.Steps, s)
}

// waits notes a part whose turn has not come: that an earlier one is not done
// is the problem, and is told there.
func (x *examination) waits(name, detail string) {
	x.report.Steps = append(x.report.Steps, Step{Name: name, State: Open, Detail: detail})
}

// apiServerImage is the image by which a registry shows that it was filled
// with a version of Kubernetes: every node needs it.
const apiServerImage = "registry.k8s.io/kube-apiserver:"

// registryStep asks the registry for the cluster's own version.
func (x *examination) registryStep(ctx context.Context, version string) {
	const name = "registry"
	if x.opts.Registry == nil {
		x.step(name, false, "", x.opts.RegistryErr)
		return
	}
	r := x.opts.Site.Spec.Registry
	if version == "" {
		_, err := x.opts.Registry.Greet(ctx, r.Endpoint)
		x.step(name, false, r.Endpoint+" answers; which version it should have is not known yet", err)
		return
	}
	mapping, err := mirror.ParseMapping(r.Prefix, nil)
	if err != nil {
		x.step(name, false, "", err)
		return
	}
	ref := apiServerImage + version
	there, err := x.image(ctx, mapping, ref)
	if there {
		x.step(name, true, ref+" is in "+r.Endpoint, err)
		return
	}
	x.step(name, false, ref+" is not in "+r.Endpoint, err)
}

func (x *examination) image(ctx context.Context, mapping *mirror.Mapping, ref string) (bool, error) {
	name, tag, err := mapping.Repository(ref)
	if err != nil {
		return false, err
	}
	repository, err := x.opts.Registry.Repository(x.opts.Site.Spec.Registry.Endpoint + "/" + name)
	if err != nil {
		return false, err
	}
	return exists(ctx, repository, tag)
}

// vcenterSteps look for template and machines.
func (x *examination) vcenterSteps(ctx context.Context) {
	machines, templates, err := x.machines(ctx)
	x.step("template", len(templates) > 0, templatesDetail(templates), err)
	x.marked, x.asked = len(machines), err == nil
	c := x.opts.Site.Spec.Cluster
	want := c.ControlPlane.Replicas
	for _, pool := range c.Workers {
		want += pool.Replicas
	}
	if x.found.Manager != nil { // administrators scale: the objects say how many
		want = x.wanted()
	}
	running := 0
	for _, m := range machines {
		if m.Running {
			running++
		}
	}
	x.step("machines", running >= want, fmt.Sprintf("%d of %d run", running, want), err)
}

// wanted is how many machines the objects ask for.
func (x *examination) wanted() int {
	n := 0
	for _, o := range x.report.Objects {
		n += o.Want
	}
	return n
}

func templatesDetail(templates []vsphere.VM) string {
	if len(templates) == 0 {
		return "none is there that sealift imported"
	}
	detail := templates[0].Name
	for _, t := range templates[1:] {
		detail += ", " + t.Name
	}
	return detail
}

// machines returns the cluster's machines and sealift's templates at vCenter.
func (x *examination) machines(ctx context.Context) (machines, templates []vsphere.VM, err error) {
	if x.opts.VCenter == nil {
		return nil, nil, x.opts.VCenterErr
	}
	inventory, err := x.opts.VCenter.Inventory(ctx)
	if err != nil {
		return nil, nil, err
	}
	datacenter, err := inventory.Find(vsphere.Datacenter, x.opts.Site.Spec.VCenter.Datacenter, "")
	if err != nil {
		return nil, nil, err
	}
	all, err := x.opts.VCenter.Machines(ctx, datacenter)
	if err != nil {
		return nil, nil, err
	}
	owner := clusterapi.Owner(x.opts.Site)
	for _, m := range all {
		switch {
		case m.Template && (template.Imported(m.Annotation) || m.Name == x.opts.Site.Spec.Cluster.Template):
			templates = append(templates, m)
		case !m.Template && m.Owner == owner:
			machines = append(machines, m)
		}
	}
	return machines, templates, nil
}

// clusterSteps say how far the cluster is.
func (x *examination) clusterSteps() {
	if x.found.Cluster != nil {
		x.step("API server", true, "https://"+x.opts.Site.Spec.Network.APIServer(), nil)
		x.nodesStep()
	} else {
		x.step("API server", false, "there is no kubeconfig in "+x.opts.Dir, x.found.ClusterErr)
		x.waits("nodes", "the API server knows them")
	}
	x.pivotSteps()
}

// nodesStep counts the nodes that are ready.
func (x *examination) nodesStep() {
	ready := 0
	for _, n := range x.report.Nodes {
		if n.Ready {
			ready++
		}
	}
	want := x.wanted()
	x.step("nodes", ready > 0 && ready >= want, fmt.Sprintf("%d of %d are ready", ready, want), nil)
}

// pivotSteps say whether the cluster manages itself, and what is left of the
// control plane that made it.
func (x *examination) pivotSteps() {
	pivoted := x.found.Place == Cluster
	switch {
	case pivoted:
		x.step("pivot", true, "the cluster manages itself", nil)
	case x.found.Cluster != nil:
		x.step("pivot", false, "it does not manage itself", nil)
	default:
		x.waits("pivot", "it comes when the cluster answers")
	}
	left, err := x.bootstrapLeft()
	switch {
	case left || err != nil:
		x.step("bootstrap removed", false, filepath.Join(x.opts.Dir, "bootstrap")+" is there", err)
	case pivoted:
		x.step("bootstrap removed", true, "nothing of it is on this host", nil)
	default:
		x.waits("bootstrap removed", "nothing of it is on this host")
	}
}

func (x *examination) bootstrapLeft() (bool, error) {
	return bootstrap.Left(filepath.Join(x.opts.Dir, "bootstrap"))
}

// phase is how far the installation is, in one word.
func (x *examination) phase() Phase {
	left, _ := x.bootstrapLeft() // an error shows in the step
	switch {
	case x.found.Place == Cluster:
		return Installed
	case x.found.Place == Bootstrap:
		return Installing
	case left:
		return Interrupted
	case x.found.ClusterErr != nil:
		return Unreachable
	case x.found.Cluster != nil:
		return Interrupted
	case x.marked > 0:
		return Elsewhere
	case !x.asked:
		return NotKnown // it may have been installed from another host
	default:
		return NotInstalled
	}
}
