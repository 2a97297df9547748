package vsphere_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/registries"
)

func start(t *testing.T) (*vcenter.VCenter, vsphere.Options) {
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	return v, vsphere.Options{CAFile: authority(t, v)}
}

func authority(t *testing.T, v *vcenter.VCenter) string {
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, v.Authority(), 0o600))
	return file
}

func user(u vcenter.User) vsphere.User { return vsphere.User{Name: u.Name, Password: u.Password} }

func connect(t *testing.T, v *vcenter.VCenter, options vsphere.Options, u vcenter.User) *vsphere.Client {
	t.Helper()
	c, err := vsphere.Connect(t.Context(), v.URL().Host, user(u), options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	return c
}

func north() vsphere.Names {
	return vsphere.Names{Datacenter: "north", Cluster: "cluster-a", Datastore: "vmfs-ssd", Network: "nodes", Folder: "sealift",
		TemplateFolder: "templates", ResourcePool: "cluster-a/Resources/sealift"}
}

func place(t *testing.T, c *vsphere.Client) (*vsphere.Inventory, *vsphere.Placement) {
	t.Helper()
	inv, err := c.Inventory(t.Context())
	require.NoError(t, err)
	p, errs := inv.Place(north())
	require.Empty(t, errs)
	return inv, p
}

func TestConnectLeavesNoSession(t *testing.T) {
	v, options := start(t)
	before := len(v.Sessions())
	c, err := vsphere.Connect(t.Context(), v.URL().Host, user(vcenter.Installer()), options)
	require.NoError(t, err)
	require.Equal(t, "8.0.3", c.About().Version)
	_, p := place(t, c)
	_, err = c.Tags(t.Context(), p.Datacenter, vsphere.CategoryRegion)
	require.NoError(t, err)
	require.Len(t, v.Sessions(), before+1)
	require.NoError(t, c.Close(t.Context()))
	require.Len(t, v.Sessions(), before)
}

func TestConnectTriesAPasswordOnce(t *testing.T) {
	v, _ := start(t)
	before := len(v.Sessions())
	var logins atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: v.URL().Host})
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(v.Authority()))
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	a := registries.NewAuthority(t)
	counting := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && bytes.Contains(body, []byte("<Login ")) || r.URL.Path == "/rest/com/vmware/cis/session" {
			logins.Add(1)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}), registries.Options{TLS: a.Server(time.Now().Add(time.Hour), false)})
	_, err := vsphere.Connect(t.Context(), registries.Host(counting), vsphere.User{Name: "sealift@vsphere.local", Password: "hunter2"}, vsphere.Options{CAFile: a.File})
	require.ErrorIs(t, err, vsphere.ErrLogin)
	require.NotContains(t, err.Error(), "hunter2")
	require.NotEmpty(t, problem.Remedies(err))
	require.Len(t, v.Sessions(), before)
	require.Equal(t, int32(1), logins.Load())
}

func TestTrust(t *testing.T) {
	v, options := start(t)
	host := v.URL().Host
	cert, err := vsphere.Handshake(t.Context(), host, options)
	require.NoError(t, err)
	require.NotNil(t, cert)
	for _, good := range []vsphere.Options{{Thumbprint: v.Thumbprint()}, {Thumbprint: strings.ToLower(v.Thumbprint())}} {
		_, err = vsphere.Handshake(t.Context(), host, good)
		require.NoError(t, err)
		c, err := vsphere.Connect(t.Context(), host, user(v.Admin()), good)
		require.NoError(t, err)
		require.NoError(t, c.Close(t.Context()))
	}
	other := "00" + v.Thumbprint()[2:]
	for want, bad := range map[error]vsphere.Options{vsphere.ErrUnknownAuthority: {}, vsphere.ErrThumbprint: {Thumbprint: other}} {
		_, err = vsphere.Handshake(t.Context(), host, bad)
		require.ErrorIs(t, err, want)
		require.NotEmpty(t, problem.Remedies(err))
		_, err = vsphere.Connect(t.Context(), host, user(v.Admin()), bad)
		require.ErrorIs(t, err, want)
	}
}

func TestTrustOfABadCertificate(t *testing.T) {
	a := registries.NewAuthority(t)
	options := vsphere.Options{CAFile: a.File}
	expired := registries.Start(t, nil, registries.Options{TLS: a.Server(time.Now().Add(-time.Hour), false)})
	_, err := vsphere.Handshake(t.Context(), registries.Host(expired), options)
	require.ErrorIs(t, err, vsphere.ErrExpired)
	require.ErrorContains(t, err, "it is from ")

	good := registries.Start(t, nil, registries.Options{TLS: a.Server(time.Now().Add(time.Hour), false)})
	_, port, _ := strings.Cut(registries.Host(good), ":")
	_, err = vsphere.Handshake(t.Context(), "127.0.0.1:"+port, options)
	require.NoError(t, err)
	elsewhere := httptest.NewUnstartedServer(nil)
	elsewhere.Listener.Close()
	elsewhere.Listener, err = net.Listen("tcp", "127.0.0.2:0") // an address that the certificate does not have
	require.NoError(t, err)
	elsewhere.TLS = a.Server(time.Now().Add(time.Hour), false)
	elsewhere.StartTLS()
	defer elsewhere.Close()
	_, err = vsphere.Handshake(t.Context(), registries.Host(elsewhere), options)
	require.ErrorIs(t, err, vsphere.ErrWrongName)
	require.ErrorContains(t, err, "127.0.0.1")

	plain := httptest.NewServer(nil)
	defer plain.Close()
	_, err = vsphere.Handshake(t.Context(), plain.Listener.Addr().String(), options)
	require.ErrorIs(t, err, vsphere.ErrNoTLS)
	require.NoError(t, vsphere.Reach(t.Context(), plain.Listener.Addr().String()))
	plain.Close()
	require.ErrorContains(t, vsphere.Reach(t.Context(), plain.Listener.Addr().String()), "connection refused")
}

func TestInventory(t *testing.T) {
	v, options := start(t)
	inv, p := place(t, connect(t, v, options, vcenter.Installer()))
	require.Equal(t, "/north/host/cluster-a", p.Cluster.Path)
	require.Equal(t, "/north/datastore/vmfs-ssd", p.Datastore.Path)
	require.Equal(t, "/north/network/nodes", p.Network.Path)
	require.Equal(t, "/north/vm/sealift", p.Folder.Path)
	require.Equal(t, "/north/host/cluster-a/Resources/sealift", p.ResourcePool.Path)
	require.Len(t, p.Hosts, 3)
	for _, c := range []struct {
		kind       vsphere.Kind
		name, path string
	}{
		{vsphere.Folder, "sealift/enterprise", "/north/vm/sealift/enterprise"},
		{vsphere.Folder, "/north/vm/others", "/north/vm/others"},
		{vsphere.ResourcePool, "Resources", "/north/host/cluster-a/Resources"},
		{vsphere.Datastore, "nfs-images", "/north/datastore/nfs-images"},
	} {
		found, err := inv.Find(c.kind, c.name, "/north")
		require.NoError(t, err)
		require.Equal(t, c.path, found.Path)
	}
	for _, c := range []struct {
		kind         vsphere.Kind
		name, remedy string
	}{
		{vsphere.Datacenter, "nroth", "did you mean /north?"},
		{vsphere.Cluster, "cluster-b", "did you mean /north/host/cluster-a?"},
		{vsphere.Datastore, "vmfs", "did you mean /north/datastore/vmfs-ssd, /north/datastore/vmfs-bulk?"},
		{vsphere.Network, "Nodes", "did you mean /north/network/nodes?"},
		{vsphere.Network, "zzz", "choose one of "},
	} {
		_, err := inv.Find(c.kind, c.name, "")
		require.ErrorIs(t, err, vsphere.ErrNotFound)
		require.Contains(t, problem.Remedies(err)[0], c.remedy)
	}
	names := north()
	names.Datacenter = "south"
	_, errs := inv.Place(names)
	require.Len(t, errs, 1, "the others would only repeat it")
}

// What the site means, finders find: also where a name is not the only one, is
// not at the top, or has characters of paths and patterns.
func TestFindersFindWhatTheSiteMeans(t *testing.T) {
	v, options := start(t)
	admin, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	finder := find.NewFinder(admin.Client)
	for _, path := range [][2]string{{"/north/host", "sealift"}, {"/north/vm/others", "sealift"}, {"/north/vm/others", "deep"}, {"/north/vm", "apps/prod"}, {"/north/vm", "büro [1]"},
		{"/north/vm", "100% sure"}, {"/north/vm", "a*"}, {"/north/vm", "ab"}} {
		parent, err := finder.Folder(t.Context(), path[0])
		require.NoError(t, err)
		_, err = parent.CreateFolder(t.Context(), path[1])
		require.NoError(t, err)
	}
	below, err := finder.Folder(t.Context(), "/north/host/sealift")
	require.NoError(t, err)
	_, err = below.CreateCluster(t.Context(), "cluster-n", types.ClusterConfigSpecEx{})
	require.NoError(t, err)

	inv, err := connect(t, v, options, v.Admin()).Inventory(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"sealift", "others/deep", "apps/prod", "büro [1]", "100% sure", "a*"} {
		meant, err := inv.Find(vsphere.Folder, name, "/north/vm")
		require.NoError(t, err)
		found, err := finder.Folder(t.Context(), meant.Lookup)
		require.NoError(t, err, meant.Lookup)
		require.Equal(t, meant.Ref, found.Reference(), meant.Lookup)
	}
	pool, err := inv.Find(vsphere.ResourcePool, "cluster-n/Resources", "/north")
	require.NoError(t, err)
	_, err = finder.ResourcePool(t.Context(), pool.Lookup)
	require.NoError(t, err)
}

// The provider finds no datastore by the name of a cluster of them.
func TestADatastoreClusterIsNoDatastore(t *testing.T) {
	v, options := start(t)
	admin, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	finder := find.NewFinder(admin.Client)
	top, err := finder.Folder(t.Context(), "/north/datastore")
	require.NoError(t, err)
	group, err := top.CreateStoragePod(t.Context(), "fast")
	require.NoError(t, err)
	store, err := finder.Datastore(t.Context(), "vmfs-ssd")
	require.NoError(t, err)
	task, err := group.MoveInto(t.Context(), []types.ManagedObjectReference{store.Reference()})
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	_, err = finder.Datastore(t.Context(), "/north/datastore/fast")
	require.Error(t, err)

	inv, err := connect(t, v, options, v.Admin()).Inventory(t.Context())
	require.NoError(t, err)
	names := north()
	_, errs := inv.Place(names)
	require.Empty(t, errs, "one in a cluster is found")
	names.Datastore = "fast"
	_, errs = inv.Place(names)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs["datastore"], vsphere.ErrDatastoreCluster)
	require.Equal(t, []string{"name one of its datastores: /north/datastore/fast/vmfs-ssd"}, problem.Remedies(errs["datastore"]))
}

func TestConnected(t *testing.T) {
	v, options := start(t)
	c := connect(t, v, options, v.Admin())
	_, p := place(t, c)
	datastore, network := c.Connected(t.Context(), p)
	require.NoError(t, datastore)
	require.NoError(t, network)

	admin, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	folders, err := object.NewDatacenter(admin.Client, p.Datacenter.Ref).Folders(t.Context())
	require.NoError(t, err)
	spec := &types.VMwareDVSConfigSpec{}
	spec.Name = "lonely"
	task, err := folders.NetworkFolder.CreateDVS(t.Context(), types.DVSCreateSpec{ConfigSpec: spec})
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	task, err = object.NewDistributedVirtualSwitch(admin.Client, info.Result.(types.ManagedObjectReference)).AddPortgroup(t.Context(),
		[]types.DVPortgroupConfigSpec{{Name: "island", Type: "earlyBinding", NumPorts: 8}})
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	inv, err := c.Inventory(t.Context())
	require.NoError(t, err)
	p.Network, err = inv.Find(vsphere.Network, "island", "")
	require.NoError(t, err)
	_, network = c.Connected(t.Context(), p)
	require.ErrorIs(t, network, vsphere.ErrUnconnected)
}

func TestPrivileges(t *testing.T) {
	v, options := start(t)
	require.ElementsMatch(t, vcenter.LookPrivileges(), vsphere.LookPrivileges())
	require.ElementsMatch(t, vcenter.MachinePrivileges(), vsphere.MachinePrivileges())
	missing := func(u vcenter.User) map[string][]vsphere.Missing {
		c := connect(t, v, options, u)
		inv, p := place(t, c)
		out := map[string][]vsphere.Missing{}
		for _, r := range inv.Requirements(p) {
			m, err := c.Missing(t.Context(), r)
			require.NoError(t, err)
			if len(m) > 0 {
				out[r.Key] = m
			}
		}
		return out
	}
	require.Empty(t, missing(vcenter.Installer()))
	require.Empty(t, missing(v.Admin()))
	nothing := missing(vcenter.User{Name: "nobody@vsphere.local", Password: "Dark-Site-3!"})
	require.Len(t, nothing, 10)
	require.Len(t, nothing["hosts"], 3)
	require.Equal(t, vsphere.LookPrivileges(), nothing["vcenter"][0].Privileges)
}

func TestOnePrivilegeIsMissing(t *testing.T) {
	inventory := vcenter.Site()
	for i, role := range inventory.Roles {
		inventory.Roles[i].Privileges = slices.DeleteFunc(role.Privileges, func(p string) bool { return p == "VirtualMachine.Provisioning.Clone" })
	}
	v := vcentertest.Start(t, vcenter.Options{Inventory: &inventory})
	c := connect(t, v, vsphere.Options{CAFile: authority(t, v)}, vcenter.Installer())
	inv, p := place(t, c)
	for _, r := range inv.Requirements(p) {
		m, err := c.Missing(t.Context(), r)
		require.NoError(t, err)
		if len(r.Privileges) == len(vsphere.LookPrivileges()) {
			require.Empty(t, m)
			continue
		}
		require.Len(t, m, len(r.Objects))
		require.Equal(t, []string{"VirtualMachine.Provisioning.Clone"}, m[0].Privileges)
	}
}

func TestCapacity(t *testing.T) {
	v, options := start(t)
	c := connect(t, v, options, vcenter.Installer())
	_, p := place(t, c)
	hosts, err := c.Hosts(t.Context(), p.Hosts)
	require.NoError(t, err)
	require.Len(t, hosts, 3)
	require.Positive(t, hosts[0].Threads)
	require.Positive(t, hosts[0].Free)
	require.Empty(t, hosts[0].Reason)
	space, err := c.DatastoreSpace(t.Context(), p.Datastore)
	require.NoError(t, err)
	require.Equal(t, int64(2)<<40, space.Capacity)
	require.NoError(t, v.FillDatastore(t.Context(), "vmfs-ssd", 5<<30))
	space, err = c.DatastoreSpace(t.Context(), p.Datastore)
	require.NoError(t, err)
	require.Equal(t, int64(5)<<30, space.Free)
	room, err := c.PoolRoom(t.Context(), p.ResourcePool)
	require.NoError(t, err)
	require.NotZero(t, room.MemoryLeft)

	admin, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	task, err := object.NewHostSystem(admin.Client, p.Hosts[1].Ref).EnterMaintenanceMode(t.Context(), 0, false, nil)
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	hosts, err = c.Hosts(t.Context(), p.Hosts)
	require.NoError(t, err)
	require.Equal(t, "it is in maintenance mode", hosts[1].Reason)
}

func TestFit(t *testing.T) {
	hosts := []vsphere.HostCapacity{{Threads: 16, Free: 40}, {Threads: 8, Free: 20}, {Threads: 64, Free: 1000, Reason: "it is in maintenance mode"}}
	m := vsphere.Machine{CPUs: 8, Memory: 16}
	require.Zero(t, vsphere.Fit([]vsphere.Machine{m, m, m}, hosts))
	require.Equal(t, 1, vsphere.Fit([]vsphere.Machine{m, m, m, m}, hosts), "20 and 40 hold three of 16, though 60 is more than 48")
	require.Equal(t, 1, vsphere.Fit([]vsphere.Machine{{CPUs: 32, Memory: 1}}, hosts))
	require.Equal(t, 40, int(hosts[0].Free), "the figures stay")
}

func TestTags(t *testing.T) {
	v, options := start(t)
	c := connect(t, v, options, vcenter.Installer())
	_, p := place(t, c)
	region, err := c.Tags(t.Context(), p.Datacenter, vsphere.CategoryRegion)
	require.NoError(t, err)
	require.Equal(t, []string{"north"}, region)
	none, err := c.Tags(t.Context(), p.Datacenter, vsphere.CategoryZone)
	require.NoError(t, err)
	require.Empty(t, none)
	for tag, good := range map[string]bool{"north-a": true, "": true, "a.b_c": true, "-a": false, "a b": false, "ä": false, strings.Repeat("a", 64): false} {
		require.Equal(t, good, vsphere.IsLabelValue(tag), tag)
	}
}

func TestTemplate(t *testing.T) {
	v, options := start(t)
	c := connect(t, v, options, v.Admin())
	_, p := place(t, c)
	_, err := c.Template(t.Context(), p.TemplateFolder, "node-1.34")
	require.ErrorIs(t, err, vsphere.ErrNotFound)

	vm := makeMachine(t, c, p, "node-1.34")
	_, err = c.Template(t.Context(), p.TemplateFolder, "node-1.34")
	require.ErrorIs(t, err, vsphere.ErrNoTemplate)
	require.NoError(t, vm.MarkAsTemplate(t.Context()))
	found, err := c.Template(t.Context(), p.TemplateFolder, "node-1.34")
	require.NoError(t, err)
	require.Empty(t, found.Version)
	_, err = c.Template(t.Context(), p.TemplateFolder, "node-1.35")
	require.ErrorIs(t, err, vsphere.ErrNotFound)
	require.Equal(t, []string{"did you mean /north/vm/templates/node-1.34?"}, problem.Remedies(err))

	tag(t, v, vm.Reference(), "1.34.4") // as people write it, too
	found, err = c.Template(t.Context(), p.TemplateFolder, "node-1.34")
	require.NoError(t, err)
	require.Equal(t, "v1.34.4", found.Version)
}

func makeMachine(t *testing.T, c *vsphere.Client, p *vsphere.Placement, name string) *object.VirtualMachine {
	spec := types.VirtualMachineConfigSpec{Name: name, GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 2048,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}}
	task, err := object.NewFolder(c.Vim(), p.TemplateFolder.Ref).CreateVM(t.Context(), spec, object.NewResourcePool(c.Vim(), p.ResourcePool.Ref), nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	return object.NewVirtualMachine(c.Vim(), info.Result.(types.ManagedObjectReference))
}

func tag(t *testing.T, v *vcenter.VCenter, ref types.ManagedObjectReference, version string) {
	admin, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	rc := rest.NewClient(admin.Client)
	require.NoError(t, rc.Login(t.Context(), url.UserPassword(v.Admin().Name, v.Admin().Password)))
	m := tags.NewManager(rc)
	category, err := m.CreateCategory(t.Context(), &tags.Category{Name: vsphere.CategoryVersion, Cardinality: "SINGLE", AssociableTypes: []string{"VirtualMachine"}})
	require.NoError(t, err)
	id, err := m.CreateTag(t.Context(), &tags.Tag{Name: version, CategoryID: category})
	require.NoError(t, err)
	require.NoError(t, m.AttachTag(t.Context(), id, ref))
}

func TestClocksAndGuests(t *testing.T) {
	v, options := start(t)
	c := connect(t, v, options, v.Admin())
	_, p := place(t, c)
	now, err := c.Time(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now, time.Minute)

	vm := makeMachine(t, c, p, "guest")
	guests, err := c.GuestAddresses(t.Context())
	require.NoError(t, err)
	require.Empty(t, guests)
	task, err := vm.PowerOn(t.Context())
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	require.NotContains(t, guests, netip.MustParseAddr("192.0.2.1"))
}
