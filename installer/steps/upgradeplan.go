package steps

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/template"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/mirror"
)

// PlanUpgrade returns what an upgrade would change, and changes nothing. It
// refuses what Kubernetes cannot do: to go back, or to skip a minor version.
func (in *Installation) PlanUpgrade(ctx context.Context) (*upgrade.Plan, error) {
	if err := in.Upgradable(ctx); err != nil {
		return nil, err
	}
	present, err := in.own.Present(ctx, in.Site.Spec.Cluster.Name)
	if err != nil {
		return nil, err
	}
	p := &upgrade.Plan{Cluster: in.Site.Spec.Cluster.Name, Release: in.Release.Metadata.Name + " " + in.Release.Metadata.Version}
	if err := in.planVersions(ctx, p, present); err != nil {
		return nil, err
	}
	if err := in.planTemplate(ctx); err != nil {
		return nil, err
	}
	if err := in.planImages(ctx, p); err != nil {
		return nil, err
	}
	if err := in.planObjects(ctx, p); err != nil {
		return nil, err
	}
	settings, err := (&console{in}).consoleSettings(ctx)
	if err != nil {
		return nil, err
	}
	p.Values = append(p.Values, settings...)
	if ready, want, err := in.own.Ready(ctx, p.Cluster); err == nil && ready < want {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d of %d nodes are ready: sealift status says why", ready, want))
	}
	return p, nil
}

// planVersions compares versions, and refuses those that cannot be.
func (in *Installation) planVersions(ctx context.Context, p *upgrade.Plan, present *clusterapi.Present) error {
	if err := checkVersions(present.Version, in.Release.Spec.KubernetesVersion); err != nil {
		return err
	}
	p.Versions = append(p.Versions, upgrade.VersionChange{Name: "kubernetes", From: present.Version, To: in.Release.Spec.KubernetesVersion},
		upgrade.VersionChange{Name: "node template", From: present.Template, To: in.templateName()})
	installed, err := in.own.InstalledProviders(ctx)
	if err != nil {
		return err
	}
	for _, provider := range in.Release.Spec.Providers {
		label := clusterapi.Label(provider)
		if old := installed[label]; old != "" && semver.Compare(provider.Version, old) < 0 {
			return problem.New(problem.Usage, "use a bundle that is not older", "provider %s has %s, and the bundle's %s is older: its objects cannot be read back", label, old, provider.Version)
		}
		p.Versions = append(p.Versions, upgrade.VersionChange{Name: "provider " + label, From: installed[label], To: provider.Version})
	}
	return nil
}

// checkVersions refuses what kubeadm cannot do.
func checkVersions(from, to string) error {
	if semver.Compare(to, from) < 0 {
		return problem.New(problem.Usage, "use a bundle that is not older", "the cluster has Kubernetes %s, and the bundle's %s is older: Kubernetes does not go back", from, to)
	}
	has, err := minor(from)
	if err != nil {
		return err
	}
	wants, err := minor(to)
	if err != nil {
		return err
	}
	if wants > has+1 || semver.Major(from) != semver.Major(to) {
		return problem.New(problem.Usage, fmt.Sprintf("upgrade with a bundle of %s.%d first", semver.Major(from), has+1), "from Kubernetes %s to %s is more than one minor version", from, to)
	}
	return nil
}

// minor returns N of v1.N.x.
func minor(version string) (n int, err error) {
	var major int
	if _, err := fmt.Sscanf(semver.MajorMinor(version), "v%d.%d", &major, &n); err != nil {
		return 0, fmt.Errorf("version %q of Kubernetes: %w", version, err)
	}
	return n, nil
}

// planTemplate refuses a template whose machines would not become nodes: of
// another OVA, or of another version of Kubernetes.
func (in *Installation) planTemplate(ctx context.Context) error {
	const remedy = "set another spec.cluster.template in the site"
	ova, err := in.Release.Template(ctx)
	if err != nil {
		return err
	}
	state, err := template.Look(ctx, in.VCenter.Vim(), in.place())
	if err != nil || !state.Exists {
		return err
	}
	if state.Digest != "" && state.Digest != ova.Descriptor.Digest {
		return problem.New(problem.Preflight, remedy, "%w: %s is a template of another OVA than the bundle's", template.ErrOther, in.place().Path())
	}
	t, err := in.VCenter.Template(ctx, in.placement.TemplateFolder, in.templateName())
	if err != nil {
		return err
	}
	if wants := in.Release.Spec.KubernetesVersion; t.Version != "" && t.Version != wants {
		return problem.New(problem.Preflight, remedy, "template %s has Kubernetes %s, and the bundle's is %s", in.place().Path(), t.Version, wants)
	}
	return nil
}

// planImages asks the registry which images it lacks.
func (in *Installation) planImages(ctx context.Context, p *upgrade.Plan) error {
	r, err := (&fill{in}).push(ctx, mirror.PushOptions{DryRun: true})
	if err != nil {
		return err
	}
	for _, image := range r.Images {
		if image.Sent {
			p.Images = append(p.Images, image.Source)
		}
	}
	return nil
}

// planObjects asks the API server what would change, and which machines that
// replaces.
func (in *Installation) planObjects(ctx context.Context, p *upgrade.Plan) error {
	n, err := in.next(ctx)
	if err != nil {
		return err
	}
	for _, name := range n.removed {
		p.Warnings = append(p.Warnings, "pool "+name+" was removed from the cluster: it is not made again; take it out of spec.cluster.workers")
	}
	p.Values = append(p.Values, n.settings...)
	objects, err := n.Objects()
	if err != nil {
		return err
	}
	if p.Objects, err = in.own.Diff(ctx, objects); err != nil {
		return err
	}
	if err := in.planAddons(ctx, p); err != nil {
		return err
	}
	for _, o := range objects {
		pool, ok := machinesOf(o, p.Cluster)
		if !ok || !slices.ContainsFunc(p.Objects, func(c clusterapi.ObjectChange) bool {
			return c.Object == o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName()
		}) {
			continue
		}
		for _, m := range n.present.Machines {
			if m.Pool == pool {
				p.Machines = append(p.Machines, m.Name)
			}
		}
	}
	return nil
}

// planAddons asks the API server what would change of the addons, and Helm's
// records which charts.
func (in *Installation) planAddons(ctx context.Context, p *upgrade.Plan) error {
	all, err := (&addons{in}).all(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		objects, err := a.placed(in.own)
		if err != nil {
			return err
		}
		changes, err := in.own.Diff(ctx, objects)
		if err != nil {
			return err
		}
		p.Objects = append(p.Objects, changes...)
		for _, r := range a.charts {
			there, err := in.installed(r)
			if err != nil {
				return err
			}
			addChart(p, r, there)
		}
	}
	return nil
}

// addChart adds a chart, and that its values change where the version stays.
func addChart(p *upgrade.Plan, r chartRelease, there *helmrelease.Release) {
	v := upgrade.VersionChange{Name: "chart " + r.name, To: r.chart.Metadata.Version}
	if there != nil {
		v.From = there.Chart.Metadata.Version
	}
	p.Versions = append(p.Versions, v)
	if v.From == v.To && !r.is(there) {
		p.Objects = append(p.Objects, upgrade.ObjectChange{Object: "the values of chart " + r.namespace + "/" + r.name})
	}
}

// machinesOf returns whose machines an object describes: a pool's, or with ""
// the control plane's.
func machinesOf(o *unstructured.Unstructured, cluster string) (pool string, ok bool) {
	switch o.GetKind() {
	case "KubeadmControlPlane":
		return "", true
	case "MachineDeployment":
		return strings.TrimPrefix(o.GetName(), cluster+"-"), true
	default:
		return "", false
	}
}
