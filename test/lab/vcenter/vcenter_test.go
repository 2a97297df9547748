package vcenter_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/vcenter"
)

func TestVersionIs8(t *testing.T) {
	s := newSite(t)
	require.Equal(t, "8.0.3", s.client.ServiceContent.About.Version)
	require.Equal(t, "8.0.3.0", s.client.ServiceContent.About.ApiVersion)
	host, err := s.find.HostSystem(s.ctx, "esx-1.north.example")
	require.NoError(t, err)
	var h mo.HostSystem
	require.NoError(t, host.Properties(s.ctx, host.Reference(), []string{"config.product"}, &h))
	require.Contains(t, h.Config.Product.Version, "8.0")
}

func TestTheInventoryIsLikeACustomers(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{
		"/north", "/north/host/cluster-a", "/north/host/cluster-a/esx-3.north.example", "/north/host/cluster-a/Resources/sealift",
		"/north/vm/templates", "/north/vm/sealift/enterprise", "/north/network/nodes", "/north/network/management", "/north/network/switch-north",
	} {
		list, err := s.find.ManagedObjectList(s.ctx, path)
		require.NoError(t, err)
		require.Len(t, list, 1, path)
	}
	var d mo.Datastore
	require.NoError(t, property.DefaultCollector(s.client.Client).RetrieveOne(s.ctx, s.datastore("vmfs-ssd").Reference(), []string{"summary", "host"}, &d))
	require.Equal(t, 2048*gib, d.Summary.Capacity)
	require.Equal(t, 2048*gib, d.Summary.FreeSpace)
	require.Equal(t, "VMFS", d.Summary.Type)
	require.Len(t, d.Host, 3)
}

func TestTagsAreAttached(t *testing.T) {
	s := newSite(t)
	rc := rest.NewClient(s.client.Client)
	admin := s.Admin()
	require.NoError(t, rc.Login(s.ctx, url.UserPassword(admin.Name, admin.Password)))
	m := tags.NewManager(rc)
	dc, err := s.find.Datacenter(s.ctx, "/north")
	require.NoError(t, err)
	attached, err := m.GetAttachedTags(s.ctx, dc.Reference())
	require.NoError(t, err)
	require.Len(t, attached, 1)
	require.Equal(t, "north", attached[0].Name)
	category, err := m.GetCategory(s.ctx, attached[0].CategoryID)
	require.NoError(t, err)
	require.Equal(t, "k8s-region", category.Name)
}

func TestLoginNeedsTheRightPassword(t *testing.T) {
	s := newSite(t)
	for _, u := range []vcenter.User{
		{Name: s.Admin().Name, Password: "wrong"}, {Name: s.Admin().Name}, {Name: "stranger@vsphere.local", Password: s.Admin().Password},
		{Name: vcenter.Installer().Name, Password: s.Admin().Password},
	} {
		_, err := s.Client(s.ctx, u)
		requireFault[*types.InvalidLogin](t, err)
	}
	rc := rest.NewClient(s.client.Client)
	require.Error(t, rc.Login(s.ctx, url.UserPassword(s.Admin().Name, "wrong")))
	_, err := s.Client(s.ctx, vcenter.User{Name: `VSPHERE.LOCAL\Administrator`, Password: s.Admin().Password})
	require.NoError(t, err, "the other spelling of the name")
}

func TestTLSNeedsTheAuthorityOrTheThumbprint(t *testing.T) {
	s := newSite(t)
	_, err := govmomi.NewClient(s.ctx, s.URL(), false)
	require.ErrorContains(t, err, "certificate")

	sc := soap.NewClient(s.URL(), false)
	sc.SetThumbprint(s.URL().Host, s.Thumbprint())
	vc, err := vim25.NewClient(s.ctx, sc)
	require.NoError(t, err)
	require.NoError(t, session.NewManager(vc).Login(s.ctx, url.UserPassword(s.Admin().Name, s.Admin().Password)))

	sc = soap.NewClient(s.URL(), false)
	sc.SetThumbprint(s.URL().Host, "00"+s.Thumbprint()[2:])
	_, err = vim25.NewClient(s.ctx, sc)
	require.ErrorContains(t, err, "thumbprint")
}

func TestSessionsAreCountedAndExpire(t *testing.T) {
	s := newSite(t)
	before := len(s.Sessions())
	other, err := s.Client(s.ctx, vcenter.Installer())
	require.NoError(t, err)
	require.Len(t, s.Sessions(), before+1)
	require.NoError(t, other.Logout(s.ctx))
	require.Len(t, s.Sessions(), before)

	rc := rest.NewClient(s.client.Client)
	require.NoError(t, rc.Login(s.ctx, url.UserPassword(s.Admin().Name, s.Admin().Password)))
	_, err = tags.NewManager(rc).ListTags(s.ctx)
	require.NoError(t, err)

	s.ExpireSessions(s.ctx)
	require.Empty(t, s.Sessions())
	_, err = s.folderForCall().CreateFolder(s.ctx, "late")
	requireFault[*types.NotAuthenticated](t, err)
	_, err = tags.NewManager(rc).ListTags(s.ctx)
	require.ErrorContains(t, err, "401")

	require.NoError(t, s.client.Login(s.ctx, url.UserPassword(s.Admin().Name, s.Admin().Password)), "a new session works")
	_, err = s.folderForCall().CreateFolder(s.ctx, "late")
	require.NoError(t, err)
}

func TestAPortThatIsTaken(t *testing.T) {
	s := newSite(t)
	_, err := vcenter.Start(s.ctx, vcenter.Options{Addr: s.URL().Host})
	require.ErrorContains(t, err, "listening on "+s.URL().Host)
	require.Contains(t, problem.Remedies(err)[0], "end what listens there")
}

func TestAnInventoryThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*vcenter.Inventory)
		want   string
	}{
		"a folder without its parent": {func(i *vcenter.Inventory) { i.Folders = []string{"a/b"} }, "folder a/b: its parent is not in the inventory"},
		"a pool without its parent":   {func(i *vcenter.Inventory) { i.Pools = []string{"a/b"} }, "pool a/b: its parent is not in the inventory"},
		"a datastore twice":           {func(i *vcenter.Inventory) { i.Datastores = append(i.Datastores, i.Datastores[0]) }, "datastore vmfs-ssd"},
		"a folder twice":              {func(i *vcenter.Inventory) { i.Folders = append(i.Folders, "sealift") }, "folder sealift"},
		"an unknown privilege":        {func(i *vcenter.Inventory) { i.Roles[0].Privileges = []string{"No.Such"} }, "role sealift-look"},
		"an unknown role":             {func(i *vcenter.Inventory) { i.Roles = nil }, "role sealift-look is not in the inventory"},
		"a grant on nothing":          {func(i *vcenter.Inventory) { i.Users[0].Grants[0].Path = "/north/vm/none" }, "/north/vm/none"},
		"a tag on nothing":            {func(i *vcenter.Inventory) { i.Tags[0].Path = "/south" }, "/south"},
	} {
		t.Run(name, func(t *testing.T) {
			site := vcenter.Site()
			c.change(&site)
			_, err := vcenter.Start(t.Context(), vcenter.Options{Inventory: &site})
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := vcenter.Start(t.Context(), vcenter.Options{Addr: "nowhere"})
	require.ErrorContains(t, err, "listening on nowhere")
}

func TestCloseWaitsForNobody(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	ended := make(chan error, 1)
	go func() {
		ended <- property.Wait(s.ctx, property.DefaultCollector(s.client.Client), vm.Reference(), []string{"runtime.powerState"}, func([]types.PropertyChange) bool {
			return false
		})
	}()
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	s.Close()
	require.Less(t, time.Since(start), 5*time.Second)
	require.Error(t, <-ended)
}

func TestWhoWaitsHearsThatTheSessionHasExpired(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	ended := make(chan error, 1)
	go func() {
		ended <- property.Wait(s.ctx, property.DefaultCollector(s.client.Client), vm.Reference(), []string{"runtime.powerState"}, func([]types.PropertyChange) bool {
			return false
		})
	}()
	time.Sleep(300 * time.Millisecond)
	s.ExpireSessions(s.ctx)
	select {
	case err := <-ended:
		requireFault[*types.NotAuthenticated](t, err)
	case <-time.After(5 * time.Second):
		require.Fail(t, "it still waits")
	}
}
