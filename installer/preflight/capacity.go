package preflight

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/mod/semver"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
)

const gib = int64(1) << 30

// overcommit is how many virtual CPUs a thread of a host may be promised
// before it is spoken of.
const overcommit = 4

func (e *examination) capacityChecks() []check {
	return []check{
		{name: "capacity-cpu", needs: []string{"inventory-cluster"}, run: e.cpu},
		{name: "capacity-memory", needs: []string{"inventory-cluster"}, run: e.memory},
		{name: "capacity-pool", needs: []string{"inventory-resource-pool"}, run: e.pool},
		{name: "capacity-datastore", needs: []string{"inventory-datastore"}, run: e.space},
		{name: "capacity-packs", run: e.packs},
	}
}

// machines returns every node and the one more that an upgrade makes first, as
// large as the largest.
func machines(c site.Cluster) []vsphere.Machine {
	var out []vsphere.Machine
	add := func(n int, s site.Size) {
		for range n {
			out = append(out, vsphere.Machine{CPUs: s.CPUs, Memory: int64(s.MemoryGiB) * gib, Disk: int64(s.DiskGiB) * gib})
		}
	}
	add(c.ControlPlane.Replicas, c.ControlPlane.Size)
	for _, w := range c.Workers {
		add(w.Replicas, w.Size)
	}
	largest := vsphere.Machine{}
	for _, m := range out {
		largest = vsphere.Machine{CPUs: max(largest.CPUs, m.CPUs), Memory: max(largest.Memory, m.Memory), Disk: max(largest.Disk, m.Disk)}
	}
	return append(out, largest)
}

func (e *examination) cpu(ctx context.Context) finding {
	hosts, err := e.vcenter.client.Hosts(ctx, e.vcenter.placement.Hosts)
	if err != nil {
		return failedWith(err)
	}
	need, largest, threads, widest := 0, 0, 0, 0
	for _, m := range machines(e.site.Spec.Cluster) {
		need, largest = need+m.CPUs, max(largest, m.CPUs)
	}
	for _, h := range hosts {
		if h.Reason == "" {
			threads, widest = threads+h.Threads, max(widest, h.Threads)
		}
	}
	evidence := fmt.Sprintf("%d virtual CPUs on %d threads (%s)", need, threads, hostList(hosts))
	switch {
	case widest < largest:
		return failed("choose a smaller size, or a cluster with larger hosts", "a machine of %d CPUs powers on on no host: %s", largest, evidence)
	case need > overcommit*threads:
		return warning("choose smaller sizes, or add hosts", "%s: more than %d to a thread", evidence, overcommit)
	}
	return ok("%s", evidence)
}

func hostList(hosts []vsphere.HostCapacity) string {
	var out []string
	for _, h := range hosts {
		text := fmt.Sprintf("%s %d threads, %s free", h.Name, h.Threads, size(h.Free))
		if h.Reason != "" {
			text = h.Name + ": " + h.Reason
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func (e *examination) memory(ctx context.Context) finding {
	hosts, err := e.vcenter.client.Hosts(ctx, e.vcenter.placement.Hosts)
	if err != nil {
		return failedWith(err)
	}
	all := machines(e.site.Spec.Cluster)
	var need int64
	for i := range all {
		need += all[i].Memory
		all[i].CPUs = 0 // those are another check's
	}
	if left := vsphere.Fit(all, hosts); left > 0 {
		return failed("choose smaller sizes or fewer replicas, or free memory on the hosts", "%d of %d machines (%s together, one of them for upgrades) find no host: %s",
			left, len(all), size(need), hostList(hosts))
	}
	return ok("%s for %d machines, one of them for upgrades: %s", size(need), len(all), hostList(hosts))
}

func (e *examination) pool(ctx context.Context) finding {
	room, err := e.vcenter.client.PoolRoom(ctx, e.vcenter.placement.ResourcePool)
	if err != nil {
		return failedWith(err)
	}
	if room.MemoryLeft < 0 {
		return ok("%s has no limit", room.Name)
	}
	var need int64
	for _, m := range machines(e.site.Spec.Cluster) {
		need += m.Memory
	}
	if need > room.MemoryLeft {
		return failed("raise the pool's limit, or choose another pool", "%s leaves %s of memory, %s are needed", room.Name, size(room.MemoryLeft), size(need))
	}
	return ok("%s leaves %s of memory, %s are needed", room.Name, size(room.MemoryLeft), size(need))
}

func (e *examination) space(ctx context.Context) finding {
	space, err := e.vcenter.client.DatastoreSpace(ctx, e.vcenter.placement.Datastore)
	if err != nil {
		return failedWith(err)
	}
	if space.Reason != "" {
		return failed("choose another datastore", "%s takes nothing: %s", space.Name, space.Reason)
	}
	var need int64
	for _, m := range machines(e.site.Spec.Cluster) {
		need += m.Disk + m.Memory // a machine that runs has a swap file of its memory's size
	}
	image := e.ova()
	evidence := fmt.Sprintf("%s of %s free, %s needed for disks, swap files and the template", size(space.Free), size(space.Capacity), size(need+image))
	if need+image > space.Free {
		return failed("make room, choose another datastore, or smaller disks", "%s: %s", space.Name, evidence)
	}
	return ok("%s: %s", space.Name, evidence)
}

// ova returns the size of the machine image in the bundle; 0 when there is
// none.
func (e *examination) ova() int64 {
	if e.options.Bundle == nil {
		return 0
	}
	roots := e.options.Bundle.Statement().Roots
	at := slices.IndexFunc(roots, func(r archive.Root) bool { return r.Kind == archive.RootFile && path.Ext(r.Requested) == ".ova" })
	if at < 0 {
		return 0
	}
	return roots[at].Size
}

func (e *examination) templateChecks() []check {
	return []check{{name: "template", needs: []string{"inventory-template-folder"}, run: e.template}}
}

func (e *examination) template(ctx context.Context) finding {
	name, version := e.site.Spec.Cluster.Template, e.site.Spec.Cluster.KubernetesVersion
	if name == "" {
		name = e.options.Release.Template
	}
	if version == "" {
		version = e.options.Release.KubernetesVersion
	}
	if name == "" {
		return skipped("spec.cluster.template is empty: the bundle's release names it")
	}
	found, err := e.vcenter.client.Template(ctx, e.vcenter.placement.TemplateFolder, name)
	e.vcenter.hasTemplate = err == nil
	switch {
	case errors.Is(err, vsphere.ErrNotFound):
		return e.noTemplate(name, err)
	case err != nil:
		return failedWith(err)
	case version == "":
		return ok("%s is there, with Kubernetes %s", found.Object.Path, orUnknown(found.Version))
	case found.Version == "":
		return warning("attach a tag of category "+vsphere.CategoryVersion+" that says it, such as "+version, "%s does not say which version of Kubernetes it has", found.Object.Path)
	case semver.Compare(found.Version, version) != 0:
		return failed("name another template, or remove spec.cluster.template so that the bundle's is imported", "%s has Kubernetes %s, not %s", found.Object.Path, found.Version, version)
	}
	return ok("%s is there, with Kubernetes %s", found.Object.Path, found.Version)
}

func orUnknown(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return version
}

func (e *examination) noTemplate(name string, err error) finding {
	if image := e.ova(); image > 0 {
		return ok("%s is not there and will be imported from the bundle (%s)", name, size(image))
	}
	if e.options.Bundle != nil {
		f := failedWith(err)
		f.evidence += ", and the bundle has no OVA"
		return f
	}
	f := failedWith(err).orWarning()
	f.evidence += "; the installation imports it from the bundle: give --bundle to check that"
	return f
}
