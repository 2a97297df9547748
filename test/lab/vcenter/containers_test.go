package vcenter_test

import (
	"archive/tar"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/engine/enginetest"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

// docker runs the docker command.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "docker %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// containerSite is a site whose machines are containers, and their runtime.
func containerSite(t *testing.T) (*site, *vcenter.Containers) {
	if testing.Short() {
		t.Skip("slow: builds an image and runs containers")
	}
	e, err := engine.Find(t.Context())
	if err == nil {
		err = (&vcenter.Containers{Engine: e}).Check()
	}
	if err != nil {
		t.Skip("no engine for machines: ", err)
	}
	name := "sealift-test-" + strconv.Itoa(os.Getpid())
	enginetest.Image(t, e, name, "./testdata/guest", "bin/ip")
	docker(t, "network", "create", "--internal", name+"-nodes")
	docker(t, "network", "create", "--internal", name+"-management")
	c := &vcenter.Containers{Engine: e, Name: name, Image: name, Network: name + "-nodes", Networks: map[string]string{"management": name + "-management"}}
	t.Cleanup(func() {
		require.NoError(t, c.Clean(context.Background()))
		docker(t, "network", "rm", name+"-nodes", name+"-management")
	})
	v := vcentertest.Start(t, vcenter.Options{Runtime: c})
	return (&site{VCenter: v, t: t, ctx: t.Context()}).as(v.Admin()), c
}

// file returns the content of a file of a container.
func file(t *testing.T, container, path string) string {
	r := tar.NewReader(strings.NewReader(docker(t, "cp", container+":"+path, "-")))
	_, err := r.Next()
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

func TestMachinesAreContainers(t *testing.T) {
	s, c := containerSite(t)
	spec := s.cloneSpec()
	spec.PowerOn = true
	spec.Config = &types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
		&types.OptionValue{Key: "guestinfo.userdata", Value: "#cloud-config\nruncmd: ['echo \"$(id)\" `x`']\n"},
	}}
	vm := s.clone(s.template("debian", true), "cp-0", spec)
	container := c.Name + "-" + vm.Reference().Value

	ips, err := vm.WaitForNetIP(s.ctx, true)
	require.NoError(t, err)
	mac := macs(s.properties(vm).Config)[0]
	require.Len(t, ips[mac], 1, "the container's card has the machine's address: %v", ips)
	require.NotNil(t, net.ParseIP(ips[mac][0]))
	require.Equal(t, ips[mac][0], s.properties(vm).Guest.IpAddress)
	require.Equal(t, "#cloud-config\nruncmd: ['echo \"$(id)\" `x`']\n", file(t, container, "/guestinfo/guestinfo.userdata"), "no shell saw it")
	require.Equal(t, "cp-0", docker(t, "inspect", "--format", "{{.Config.Hostname}}", container))

	require.Equal(t, s.properties(vm).Config.Uuid+"\n", file(t, container, "/guestinfo/product_uuid"))
}

func TestPowerActsOnTheContainer(t *testing.T) {
	s, c := containerSite(t)
	vm := s.booted("cp-0")
	container := c.Name + "-" + vm.Reference().Value
	state := func() string { return docker(t, "inspect", "--format", "{{.State.Status}}", container) }
	started := docker(t, "inspect", "--format", "{{.State.StartedAt}}", container)
	require.NoError(t, s.wait(vm.Reset(s.ctx)))
	eventually(t, func() bool {
		return docker(t, "inspect", "--format", "{{.State.StartedAt}} {{.State.Running}}", container) > started+" true" && state() == "running"
	})
	eventually(t, func() bool { return s.properties(vm).Guest.ToolsRunningStatus == "guestToolsRunning" })

	require.NoError(t, vm.ShutdownGuest(s.ctx))
	eventually(t, func() bool { return s.powerOff(vm) && state() == "exited" })
	require.Equal(t, "0", docker(t, "inspect", "--format", "{{.State.ExitCode}}", container), "it was asked, not killed")

	require.NoError(t, s.wait(vm.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
		&types.OptionValue{Key: "guestinfo.userdata", Value: "new"},
	}})))
	require.NoError(t, s.wait(vm.PowerOn(s.ctx)))
	eventually(t, func() bool { return s.properties(vm).Guest.IpAddress != "" })
	require.Equal(t, "new", file(t, container, "/guestinfo/guestinfo.userdata"))

	require.NoError(t, s.wait(vm.PowerOff(s.ctx)))
	eventually(t, func() bool { return state() == "exited" })
	require.NoError(t, s.wait(vm.PowerOn(s.ctx)))
	eventually(t, func() bool { return s.properties(vm).Guest.IpAddress != "" })
	docker(t, "kill", container)
	eventually(t, func() bool { return s.powerOff(vm) })

	require.NoError(t, s.wait(vm.Destroy(s.ctx)))
	eventually(t, func() bool { return left(t, c) == "" })
}

func (s *site) powerOff(vm *object.VirtualMachine) bool {
	return s.properties(vm).Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff
}

func left(t *testing.T, c *vcenter.Containers) string {
	return docker(t, "ps", "--all", "--quiet", "--filter", "name="+c.Name+"-")
}

func TestMachinesBootSideBySideOnTheirNetworks(t *testing.T) {
	s, c := containerSite(t)
	template := s.template("debian", true)
	spec := s.cloneSpec()
	second, err := s.find.Network(s.ctx, "management")
	require.NoError(t, err)
	backing, err := second.EthernetCardBackingInfo(s.ctx)
	require.NoError(t, err)
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	require.NoError(t, err)
	spec.PowerOn = true
	spec.Config = &types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: card},
	}}
	var machines []*object.VirtualMachine
	for _, name := range []string{"cp-0", "cp-1", "cp-2"} {
		machines = append(machines, s.clone(template, name, spec))
	}
	seen := map[string]bool{}
	for _, vm := range machines {
		eventually(t, func() bool {
			return len(s.properties(vm).Guest.Net) == 2 && s.properties(vm).Guest.Net[1].IpAddress != nil
		})
		p := s.properties(vm)
		require.Equal(t, "nodes", p.Guest.Net[0].Network)
		require.Equal(t, "management", p.Guest.Net[1].Network)
		for _, nic := range p.Guest.Net {
			require.Len(t, nic.IpAddress, 1)
			require.False(t, seen[nic.IpAddress[0]])
			seen[nic.IpAddress[0]] = true
		}
	}
	s.Close()
	require.Empty(t, left(t, c), "an ended vCenter leaves no machine")
}

func TestContainersThatCannotBoot(t *testing.T) {
	_, c := containerSite(t)
	spec := vcenter.Spec{ID: "vm-1", Name: "cp-0", Template: "debian"}
	require.ErrorContains(t, (&vcenter.Containers{Engine: c.Engine, Name: c.Name}).Start(t.Context(), spec), `template "debian" has no image`)
	require.ErrorContains(t, (&vcenter.Containers{Engine: c.Engine, Name: c.Name, Image: "sealift.invalid/none:1", Args: []string{"--pull=never"}}).Start(t.Context(), spec), "creating machine cp-0")
	require.NoError(t, c.Stop(t.Context(), "vm-1", time.Second), "stopping what is not there")
	require.NoError(t, c.Destroy(t.Context(), "vm-1"))
	_, err := c.Addresses(t.Context(), "vm-1")
	require.Error(t, err)
	require.NoError(t, c.Clean(t.Context()))
}

func TestAnEngineThatIsTooOld(t *testing.T) {
	c := &vcenter.Containers{Engine: &engine.Engine{Version: "24.0.7"}, Name: "none", Image: "none"}
	err := c.Start(t.Context(), vcenter.Spec{ID: "vm-1", Name: "cp-0"})
	require.ErrorContains(t, err, "docker 24.0.7")
	require.NotEmpty(t, problem.Remedies(err))
}
