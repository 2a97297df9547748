package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/mod/semver"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
)

// vcenterFacts is what is known of the vCenter. Each field is written by one
// check and read by those that need it.
type vcenterFacts struct {
	login    site.Login
	loginErr error

	client      *vsphere.Client     // by vcenter-login
	inventory   *vsphere.Inventory  // by inventory
	placement   *vsphere.Placement  // by inventory
	missing     map[string]error    // by inventory: what is wrong with a place, by kind
	hasTemplate bool                // by template
	own         map[netip.Addr]bool // by addresses-known: those of this cluster's machines
}

// The oldest version that Cluster API's provider works with.
const minVCenter = "v7.0"

// soon is how long before its end a certificate is spoken of.
const soon = 30 * 24 * time.Hour

func (e *examination) vcenterChecks() []check {
	return []check{
		{name: "vcenter-reachable", run: e.vcenterReachable},
		{name: "vcenter-tls", needs: []string{"vcenter-reachable"}, run: e.vcenterTLS},
		{name: "vcenter-login", needs: []string{"vcenter-tls"}, run: e.vcenterLogin},
		{name: "vcenter-version", needs: []string{"vcenter-login"}, run: e.vcenterVersion},
	}
}

func (e *examination) vcenterOptions() vsphere.Options {
	v := e.site.Spec.VCenter
	return vsphere.Options{CAFile: e.site.Path(v.CAFile), Thumbprint: v.Thumbprint}
}

func (e *examination) vcenterReachable(ctx context.Context) finding {
	server := e.site.Spec.VCenter.Server
	if err := vsphere.Reach(ctx, server); err != nil {
		return failed("check spec.vcenter.server, the name server and the firewall between this host and the vCenter", "%v", err)
	}
	return ok("%s takes connections", vsphere.Address(server))
}

func (e *examination) vcenterTLS(ctx context.Context) finding {
	cert, err := vsphere.Handshake(ctx, e.site.Spec.VCenter.Server, e.vcenterOptions())
	if err != nil {
		return failedWith(err)
	}
	until := cert.NotAfter.UTC().Format(time.DateOnly)
	if time.Until(cert.NotAfter) < soon {
		return warning("renew the vCenter's certificate", "trusted, but it ends on %s", until)
	}
	return ok("trusted, until %s, issued by %s", until, cert.Issuer)
}

func (e *examination) vcenterLogin(ctx context.Context) finding {
	if e.vcenter.loginErr != nil {
		return failedWith(e.vcenter.loginErr)
	}
	login := e.vcenter.login
	user := vsphere.User{Name: login.Username, Password: login.Password.Reveal()}
	client, err := vsphere.Connect(ctx, e.site.Spec.VCenter.Server, user, e.vcenterOptions())
	if err != nil {
		return failedWith(err)
	}
	e.vcenter.client = client
	return ok("logged in as %s", login.Username)
}

func (e *examination) vcenterVersion(context.Context) finding {
	about := e.vcenter.client.About()
	if about.API != "VirtualCenter" {
		return failed("name the vCenter, not one of its hosts, in spec.vcenter.server", "%s is no vCenter: %s", e.site.Spec.VCenter.Server, about.Name)
	}
	if semver.Compare("v"+about.Version, minVCenter) < 0 {
		return failed("upgrade the vCenter", "%s is older than %s", about.Name, minVCenter[1:])
	}
	return ok("%s", about.Name)
}

// The checks that find each place, by its kind.
func inventoryCheck(kind string) string { return "inventory-" + kind }

func (e *examination) inventoryChecks() []check {
	out := []check{{name: "inventory", needs: []string{"vcenter-login"}, run: e.readInventory}}
	for _, place := range []struct {
		name, key string
		object    func(*vsphere.Placement) vsphere.Object
		needs     []string
	}{
		{"datacenter", string(vsphere.Datacenter), func(p *vsphere.Placement) vsphere.Object { return p.Datacenter }, []string{"inventory"}},
		{"cluster", string(vsphere.Cluster), func(p *vsphere.Placement) vsphere.Object { return p.Cluster }, nil},
		{"datastore", string(vsphere.Datastore), func(p *vsphere.Placement) vsphere.Object { return p.Datastore }, nil},
		{"network", string(vsphere.Network), func(p *vsphere.Placement) vsphere.Object { return p.Network }, nil},
		{"folder", string(vsphere.Folder), func(p *vsphere.Placement) vsphere.Object { return p.Folder }, nil},
		{"template-folder", vsphere.KeyTemplateFolder, func(p *vsphere.Placement) vsphere.Object { return p.TemplateFolder }, nil},
		{"resource-pool", string(vsphere.ResourcePool), func(p *vsphere.Placement) vsphere.Object { return p.ResourcePool }, []string{inventoryCheck("cluster")}},
	} {
		needs := place.needs
		if needs == nil {
			needs = []string{inventoryCheck("datacenter")}
		}
		out = append(out, check{name: inventoryCheck(place.name), needs: needs, run: func(context.Context) finding {
			if err := e.vcenter.missing[place.key]; err != nil {
				return failedWith(err)
			}
			return ok("%s", place.object(e.vcenter.placement).Path)
		}})
	}
	return out
}

// readInventory reads everything at once; the checks after it only say what was
// found.
func (e *examination) readInventory(ctx context.Context) finding {
	inv, err := e.vcenter.client.Inventory(ctx)
	if err != nil {
		return failedWith(err)
	}
	v := e.site.Spec.VCenter
	placement, missing := inv.Place(vsphere.Names{Datacenter: v.Datacenter, Cluster: v.Cluster, Datastore: v.Datastore, Network: v.Network,
		Folder: v.Folder, TemplateFolder: v.TemplateFolder, ResourcePool: v.ResourcePool})
	if placement.Cluster.Path != "" {
		datastore, network := e.vcenter.client.Connected(ctx, placement)
		note(missing, string(vsphere.Datastore), datastore)
		note(missing, string(vsphere.Network), network)
	}
	e.vcenter.inventory, e.vcenter.placement, e.vcenter.missing = inv, placement, missing
	return ok("read: %s", inventorySize(inv))
}

func note(errs map[string]error, key string, err error) {
	if err != nil && errs[key] == nil {
		errs[key] = err
	}
}

func inventorySize(inv *vsphere.Inventory) string {
	return fmt.Sprintf("%d datacenters, %d clusters, %d hosts, %d datastores, %d networks", len(inv.All(vsphere.Datacenter, "")), len(inv.All(vsphere.Cluster, "")),
		len(inv.All(vsphere.Host, "")), len(inv.All(vsphere.Datastore, "")), len(inv.All(vsphere.Network, "")))
}
