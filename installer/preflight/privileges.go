package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sealift/sealift/installer/vsphere"
)

// privilegeKeys are the requirements of vsphere.Requirements, each with the
// check that finds its objects.
func privilegeKeys() [][2]string {
	return [][2]string{
		{"vcenter", "inventory"}, {"datacenter", "inventory-datacenter"}, {"cluster", "inventory-cluster"}, {"vm-folder", "inventory-datacenter"},
		{"folder", "inventory-folder"}, {"template-folder", "inventory-template-folder"}, {"resource-pool", "inventory-resource-pool"},
		{"datastore", "inventory-datastore"}, {"network", "inventory-network"}, {"hosts", "inventory-cluster"},
	}
}

func (e *examination) privilegeChecks() []check {
	var out []check
	for _, k := range privilegeKeys() {
		out = append(out, check{name: "privileges-" + k[0], needs: []string{k[1]}, run: func(ctx context.Context) finding { return e.privileges(ctx, k[0]) }})
	}
	return out
}

func (e *examination) privileges(ctx context.Context, key string) finding {
	all := e.vcenter.inventory.Requirements(e.vcenter.placement)
	at := slices.IndexFunc(all, func(r vsphere.Requirement) bool { return r.Key == key })
	if at < 0 {
		return skipped("the user does not see it")
	}
	r := all[at]
	missing, err := e.vcenter.client.Missing(ctx, r)
	if err != nil {
		return failedWith(err)
	}
	if len(missing) == 0 {
		return ok("%s has all %d on %s", e.vcenter.login.Username, len(r.Privileges), objects(r.Objects))
	}
	var evidence []string
	for _, m := range missing {
		what := strings.Join(m.Privileges, ", ")
		if len(m.Privileges) == len(r.Privileges) {
			what = fmt.Sprintf("all %d (docs/install.md lists them)", len(r.Privileges))
		}
		evidence = append(evidence, fmt.Sprintf("on %s %s lacks %s", m.Object.Path, e.vcenter.login.Username, what))
	}
	propagate := "without propagation"
	if r.Propagate {
		propagate = "with propagation"
	}
	return failed("give the user a role with them on that object, "+propagate, "%s", strings.Join(evidence, "; "))
}

func objects(list []vsphere.Object) string {
	var out []string
	for _, o := range list {
		out = append(out, o.Path)
	}
	return strings.Join(out, ", ")
}

func (e *examination) tagChecks() []check {
	return []check{
		{name: "tags-region", needs: []string{"inventory-datacenter"}, run: func(ctx context.Context) finding {
			return e.tag(ctx, e.vcenter.placement.Datacenter, vsphere.CategoryRegion)
		}},
		{name: "tags-zone", needs: []string{"inventory-cluster"}, run: func(ctx context.Context) finding {
			return e.tag(ctx, e.vcenter.placement.Cluster, vsphere.CategoryZone)
		}},
	}
}

func (e *examination) tag(ctx context.Context, o vsphere.Object, category string) finding {
	tags, err := e.vcenter.client.Tags(ctx, o, category)
	if err != nil {
		return failedWith(err)
	}
	attach := fmt.Sprintf("make a tag category %s with one tag an object, and attach a tag of it to %s", category, o.Path)
	switch {
	case len(tags) == 0:
		return failed(attach, "%s has no tag of category %s", o.Path, category)
	case len(tags) > 1:
		return failed("leave one of them: detach the others", "%s has several tags of category %s: %s", o.Path, category, strings.Join(tags, ", "))
	case !vsphere.IsLabelValue(tags[0]):
		return failed("rename the tag: letters, digits, and '-', '_' or '.' between them, 63 at most", "tag %q of %s cannot be a node's label", tags[0], o.Path)
	}
	return ok("%s is %s=%s", o.Path, category, tags[0])
}
