package uninstall_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/uninstall"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/sites"
)

// lab is a vCenter with machines, and a site whose cluster some of them are.
type lab struct {
	t       *testing.T
	vcenter *vcenter.VCenter
	client  *vsphere.Client
	site    *site.Site
	dir     string
}

func start(t *testing.T) *lab {
	t.Helper()
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	text := sites.Site{Registry: sites.Server{Address: "registry.north.example:5000"}, VCenter: sites.Server{Address: v.URL().Host, Thumbprint: v.Thumbprint()}}.Text(t)
	s, err := site.Parse([]byte(text), t.TempDir())
	require.NoError(t, err)
	c, err := vsphere.Connect(t.Context(), v.URL().Host, vsphere.User{Name: v.Admin().Name, Password: v.Admin().Password}, vsphere.Options{Thumbprint: v.Thumbprint()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	return &lab{t: t, vcenter: v, client: c, site: s, dir: t.TempDir()}
}

// machine makes a machine with a mark, "" for none; it runs.
func (l *lab) machine(name, owner string) {
	l.t.Helper()
	vm := l.create("/north/vm/sealift", name, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: vsphere.OwnerKey, Value: owner}}})
	task, err := vm.PowerOn(l.t.Context())
	require.NoError(l.t, err)
	require.NoError(l.t, task.Wait(l.t.Context()))
}

// template makes a template with an annotation.
func (l *lab) template(name, annotation string) {
	l.t.Helper()
	require.NoError(l.t, l.create("/north/vm/templates", name, types.VirtualMachineConfigSpec{Annotation: annotation}).MarkAsTemplate(l.t.Context()))
}

func (l *lab) create(folder, name string, spec types.VirtualMachineConfigSpec) *object.VirtualMachine {
	l.t.Helper()
	finder := find.NewFinder(l.client.Vim())
	f, err := finder.Folder(l.t.Context(), folder)
	require.NoError(l.t, err)
	pool, err := finder.ResourcePool(l.t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(l.t, err)
	spec.Name, spec.GuestId, spec.NumCPUs, spec.MemoryMB = name, "debian12_64Guest", 1, 512
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}
	task, err := f.CreateVM(l.t.Context(), spec, pool, nil)
	require.NoError(l.t, err)
	info, err := task.WaitForResult(l.t.Context())
	require.NoError(l.t, err)
	return object.NewVirtualMachine(l.client.Vim(), info.Result.(types.ManagedObjectReference))
}

// names returns what is left at vCenter.
func (l *lab) names() []string {
	l.t.Helper()
	inventory, err := l.client.Inventory(l.t.Context())
	require.NoError(l.t, err)
	datacenter, err := inventory.Find(vsphere.Datacenter, "north", "")
	require.NoError(l.t, err)
	all, err := l.client.Machines(l.t.Context(), datacenter)
	require.NoError(l.t, err)
	var out []string
	for _, m := range all {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

func (l *lab) uninstall() *uninstall.Uninstallation {
	l.t.Helper()
	u, err := uninstall.New(l.t.Context(), uninstall.Options{Site: l.site, VCenter: l.client, Dir: l.dir})
	require.NoError(l.t, err)
	return u
}

const imported = "sealift: node template of OVA sha256:0000"

func reasons(items []uninstall.Item) map[string]string {
	out := map[string]string{}
	for _, i := range items {
		out[i.Name] = i.Why
	}
	return out
}

func TestOnlyWhatSealiftMadeIsRemoved(t *testing.T) {
	l := start(t)
	before := l.names()
	owner := clusterapi.Owner(l.site)
	l.machine("enterprise-abcde", owner)
	l.machine("enterprise-default-x-y", owner)
	l.machine("enterprise-fake", "")          // somebody's, of a similar name
	l.machine("debugging", owner)             // somebody's clone of one of ours
	l.machine("enterprise-other", owner+"1")  // of a cluster at another address
	l.template("node-1.34", imported)         // may be the other cluster's
	l.template("debian-12", "made by others") // somebody's
	l.template("node-1.33.importing", imported)
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "kubeconfig"), []byte("{}"), 0o600))

	plan, err := l.uninstall().Plan(t.Context())
	require.NoError(t, err)
	removed, kept := reasons(plan.Removed), reasons(plan.Kept)
	require.Equal(t, "it has the cluster's mark", removed["enterprise-abcde"])
	require.Contains(t, kept["debugging"], "somebody cloned it")
	require.Contains(t, kept["node-1.34"], "enterprise-other is one of its machines")
	require.Contains(t, kept, "registry.north.example:5000/sealift")
	require.NotContains(t, removed, "enterprise-fake")

	_, err = step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.NoError(t, err)
	want := append(before, "enterprise-fake", "debugging", "enterprise-other", "node-1.34", "debian-12", "node-1.33.importing")
	slices.Sort(want)
	require.Equal(t, want, l.names())
	require.NoDirExists(t, l.dir)

	plan, err = l.uninstall().Plan(t.Context())
	require.NoError(t, err)
	require.Empty(t, plan.Removed)
	_, err = step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.NoError(t, err, "again")
}

// A cluster that manages itself is asked before its machines are turned off, and
// not waited for after that; what it said is remembered.
func TestTheClusterIsNotAskedWhenItIsOff(t *testing.T) {
	l := start(t)
	before := l.names()
	l.machine("enterprise-abcde", clusterapi.Owner(l.site))
	known := l.create("/north/vm/sealift", "renamed", types.VirtualMachineConfigSpec{})
	off := func() bool {
		state, err := known.PowerState(t.Context())
		require.NoError(t, err)
		return state == types.VirtualMachinePowerStatePoweredOff
	}
	task, err := known.PowerOn(t.Context())
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	asked := 0
	objects := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
		asked++
		require.False(t, off(), "it runs on the machines that are off")
		list.(*unstructured.UnstructuredList).Items = []unstructured.Unstructured{{Object: map[string]any{"spec": map[string]any{"biosUUID": known.UUID(t.Context())}}}}
		return nil
	}})
	_, err = step.Run(t.Context(), l.uninstall().Managed(&clusterapi.Management{Client: objects}).Steps(), step.Options{})
	require.NoError(t, err)
	require.NotZero(t, asked)
	require.Equal(t, before, l.names())
}

func TestTheTemplatesOfTheOnlyClusterGo(t *testing.T) {
	l := start(t)
	before := l.names()
	l.machine("enterprise-abcde", clusterapi.Owner(l.site))
	l.template("node-1.34", imported)
	l.template("node-1.35", imported)
	_, err := step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.NoError(t, err)
	require.Equal(t, before, l.names())
}

func TestAnInterruptedUninstallationGoesOn(t *testing.T) {
	l := start(t)
	before := l.names()
	for _, name := range []string{"enterprise-a", "enterprise-b"} {
		l.machine(name, clusterapi.Owner(l.site))
	}
	l.vcenter.Inject(vcenter.Fault{Method: "Destroy_Task", Times: 1, AtCall: true, Err: &types.InvalidState{}})
	_, err := step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.ErrorContains(t, err, "removing enterprise-", "one of the two, which go side by side")
	_, err = step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.NoError(t, err)
	require.Equal(t, before, l.names())
}

// From its first step to its last, also before and after there is a bootstrap
// control plane.
func TestNothingIsRemovedUnderAnInstallation(t *testing.T) {
	l := start(t)
	lock, err := bootstrap.Lock(l.dir)
	require.NoError(t, err)
	_, err = l.uninstall().Hold()
	require.ErrorIs(t, err, bootstrap.ErrInUse)
	require.NoError(t, lock.Close())
	release, err := l.uninstall().Hold()
	require.NoError(t, err)
	_, err = bootstrap.Lock(l.dir)
	require.ErrorIs(t, err, bootstrap.ErrInUse)
	release()
	require.NoDirExists(t, l.dir)
	release, err = l.uninstall().Hold()
	require.NoError(t, err, "installed from another host")
	release()
	require.NoDirExists(t, l.dir)
}

func TestARunningInstallationIsNotRemoved(t *testing.T) {
	l := start(t)
	l.machine("enterprise-a", clusterapi.Owner(l.site))
	before := l.names()
	dir := filepath.Join(l.dir, "bootstrap")
	require.NoError(t, os.Mkdir(dir, 0o700))
	f, err := os.Create(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	_, err = step.Run(t.Context(), l.uninstall().Steps(), step.Options{})
	require.ErrorIs(t, err, bootstrap.ErrInUse)
	require.Equal(t, before, l.names())
}
