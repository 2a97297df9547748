package vsphere

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// OwnerKey is the key in a machine's configuration (its extraConfig) that says
// whose it is. It is given with the clone and outlives the cluster; a guest
// writes only what begins with guestinfo.
const OwnerKey = "sealift.cluster"

// VM is a virtual machine or a template as vCenter has it.
type VM struct {
	Ref        types.ManagedObjectReference
	Name       string
	UUID       string // of its BIOS, in lower case
	Annotation string
	Owner      string // the value of OwnerKey; "" when there is none
	Template   bool
	Running    bool
	Address    string // that the guest reports; may be ""
	Parent     types.ManagedObjectReference
}

// Machines returns all machines and templates below an object, such as a
// datacenter, in no order.
func (c *Client) Machines(ctx context.Context, below Object) ([]VM, error) {
	kinds := []string{"VirtualMachine"}
	seen, err := view.NewManager(c.vim).CreateContainerView(ctx, below.Ref, kinds, true)
	if err != nil {
		return nil, fmt.Errorf("looking through the machines of %s: %w", below.Path, err)
	}
	defer func() { _ = seen.Destroy(context.WithoutCancel(ctx)) }() // it ends with the session at the latest
	var found []mo.VirtualMachine
	properties := []string{"name", "parent", "config.uuid", "config.annotation", "config.template", "config.extraConfig", "runtime.powerState", "guest.ipAddress"}
	if err := seen.Retrieve(ctx, kinds, properties, &found); err != nil {
		return nil, fmt.Errorf("reading the machines of %s: %w", below.Path, err)
	}
	out := make([]VM, 0, len(found))
	for _, vm := range found {
		out = append(out, machine(vm))
	}
	return out, nil
}

func machine(vm mo.VirtualMachine) VM {
	m := VM{Ref: vm.Self, Name: vm.Name, Running: vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn}
	if name, err := url.PathUnescape(vm.Name); err == nil {
		m.Name = name
	}
	if vm.Parent != nil {
		m.Parent = *vm.Parent
	}
	if vm.Guest != nil {
		m.Address = vm.Guest.IpAddress
	}
	if vm.Config != nil {
		m.UUID, m.Annotation, m.Template = strings.ToLower(vm.Config.Uuid), vm.Config.Annotation, vm.Config.Template
		m.Owner = ownerIn(vm.Config)
	}
	return m
}

func ownerIn(config *types.VirtualMachineConfigInfo) (owner string) {
	for _, option := range config.ExtraConfig {
		if o := option.GetOptionValue(); o.Key == OwnerKey {
			owner, _ = o.Value.(string)
		}
	}
	return owner
}

// Owner returns whose a machine is; "" when it does not say.
func (c *Client) Owner(ctx context.Context, machine types.ManagedObjectReference) (string, error) {
	var vm mo.VirtualMachine
	if err := c.properties(ctx, machine, []string{"config.extraConfig"}, &vm); err != nil {
		return "", fmt.Errorf("asking whose a machine is: %w", err)
	}
	if vm.Config == nil {
		return "", nil
	}
	return ownerIn(vm.Config), nil
}

// PowerOff turns a machine off without asking its guest. One that is off stays so.
func (c *Client) PowerOff(ctx context.Context, m VM) error {
	vm := object.NewVirtualMachine(c.vim, m.Ref)
	state, err := vm.PowerState(ctx)
	if err != nil {
		return fmt.Errorf("reading the power state of %s: %w", m.Name, err)
	}
	if state != types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	task, err := vm.PowerOff(ctx)
	if err == nil {
		err = task.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("turning off %s: %w", m.Name, err)
	}
	return nil
}

// Destroy removes a machine that is off, or a template, with its disks.
func (c *Client) Destroy(ctx context.Context, m VM) error {
	task, err := object.NewVirtualMachine(c.vim, m.Ref).Destroy(ctx)
	if err == nil {
		err = task.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", m.Name, err)
	}
	return nil
}
