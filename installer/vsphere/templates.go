package vsphere

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
)

// Template is a template of machines.
type Template struct {
	Object  Object
	Version string // of Kubernetes, such as v1.34.4; "" when nothing says it
	Disk    int64  // bytes of its disks, whole
}

// ErrNoTemplate means: a machine has the name, and is no template.
var ErrNoTemplate = errors.New("it is no template")

var kubernetesVersion = regexp.MustCompile(`v?(\d+\.\d+\.\d+)`)

// Template finds a template by its name in a folder. Its version is that of its
// tag of CategoryVersion, else that of its vApp's product. It fails with
// ErrNotFound, or with ErrNoTemplate for a machine of that name.
func (c *Client) Template(ctx context.Context, folder Object, name string) (*Template, error) {
	machines, err := c.machines(ctx, folder)
	if err != nil {
		return nil, err
	}
	var names []Object
	for _, vm := range machines {
		o := Object{Kind: "template", Path: folder.Path + "/" + vm.Name, Ref: vm.Self}
		switch {
		case vm.Name == name && (vm.Config == nil || !vm.Config.Template):
			return nil, problem.New(problem.Failed, "remove or rename the machine, or mark it as a template", "%s: %w", o.Path, ErrNoTemplate)
		case vm.Name == name:
			return c.describe(ctx, o, vm)
		case vm.Config != nil && vm.Config.Template:
			names = append(names, o)
		}
	}
	return nil, notFound("template", name, folder.Path, names)
}

// machines returns the machines that lie in a folder itself.
func (c *Client) machines(ctx context.Context, folder Object) ([]mo.VirtualMachine, error) {
	var f mo.Folder
	if err := c.properties(ctx, folder.Ref, []string{"childEntity"}, &f); err != nil {
		return nil, fmt.Errorf("reading folder %s: %w", folder.Path, err)
	}
	var refs []types.ManagedObjectReference
	for _, ref := range f.ChildEntity {
		if ref.Type == "VirtualMachine" {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return nil, nil
	}
	var out []mo.VirtualMachine
	err := property.DefaultCollector(c.vim).Retrieve(ctx, refs, []string{"name", "config.template", "config.vAppConfig", "config.hardware.device"}, &out)
	if err != nil {
		return nil, fmt.Errorf("reading the machines in %s: %w", folder.Path, err)
	}
	return out, nil
}

func (c *Client) describe(ctx context.Context, o Object, vm mo.VirtualMachine) (*Template, error) {
	t := &Template{Object: o}
	for _, d := range vm.Config.Hardware.Device {
		if disk, ok := d.(*types.VirtualDisk); ok {
			t.Disk += max(disk.CapacityInBytes, disk.CapacityInKB<<10)
		}
	}
	versions, err := c.Tags(ctx, o, CategoryVersion)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 && vm.Config.VAppConfig != nil {
		for _, p := range vm.Config.VAppConfig.GetVmConfigInfo().Product {
			versions = append(versions, cmp.Or(p.Version, p.FullVersion))
		}
	}
	for _, text := range versions {
		if v := kubernetesVersion.FindStringSubmatch(text); v != nil {
			t.Version = "v" + v[1] // a tag may be without the v
		}
	}
	return t, nil
}
