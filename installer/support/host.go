package support

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/vsphere"
)

// processes writes the ends of the logs of the control plane on this host.
func (c *collection) processes(context.Context) error {
	dir := filepath.Join(c.Dir, "bootstrap", "logs")
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		data, err := tail(filepath.Join(dir, f.Name()))
		if err != nil {
			c.miss("bootstrap/logs/%s: %v", f.Name(), err)
			continue
		}
		if err := c.file.add("bootstrap/logs/"+f.Name(), data, false); err != nil {
			return err
		}
	}
	return nil
}

// tail returns the end of a file.
func tail(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= maxEntry {
		return io.ReadAll(io.LimitReader(f, maxEntry))
	}
	if _, err := f.Seek(-maxEntry, io.SeekEnd); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxEntry))
	_, data, _ = bytes.Cut(data, []byte("\n")) // the rest of a secret is none that is known
	return data, err
}

// history is how many of the newest events and tasks of a machine are read.
const history = 200

// vcenter writes what vCenter has of the cluster's machines: what they are,
// their events and tasks. What a machine was given for its first boot stays out.
func (c *collection) vcenter(ctx context.Context) error {
	if c.VCenter == nil {
		return c.VCenterErr
	}
	inventory, err := c.VCenter.Inventory(ctx)
	if err != nil {
		return err
	}
	datacenter, err := inventory.Find(vsphere.Datacenter, c.Site.Spec.VCenter.Datacenter, "")
	if err != nil {
		return err
	}
	all, err := c.VCenter.Machines(ctx, datacenter)
	if err != nil {
		return err
	}
	owner := clusterapi.Owner(c.Site)
	ours := slices.DeleteFunc(all, func(m vsphere.VM) bool { return m.Owner != owner })
	if err := c.json("vcenter/machines.json", ours); err != nil {
		return err
	}
	for _, m := range ours {
		if err := c.machineEvents(ctx, m); err != nil {
			c.miss("vcenter: events of %s: %v", m.Name, err)
		}
		if err := c.machineTasks(ctx, m); err != nil {
			c.miss("vcenter: tasks of %s: %v", m.Name, err)
		}
	}
	return nil
}

func (c *collection) machineEvents(ctx context.Context, m vsphere.VM) error {
	collector, err := event.NewManager(c.VCenter.Vim()).CreateCollectorForEvents(ctx, types.EventFilterSpec{
		Entity: &types.EventFilterSpecByEntity{Entity: m.Ref, Recursion: types.EventFilterSpecRecursionOptionSelf}})
	if err != nil {
		return err
	}
	defer func() { _ = collector.Destroy(context.WithoutCancel(ctx)) }() // it ends with the session at the latest
	if err := collector.SetPageSize(ctx, history); err != nil {
		return err
	}
	events, err := collector.LatestPage(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, e := range slices.Backward(events) {
		one := e.GetEvent()
		fmt.Fprintf(&out, "%s %T %s: %s\n", one.CreatedTime.UTC().Format(time.RFC3339), e, one.UserName, one.FullFormattedMessage)
	}
	return c.file.add("vcenter/"+m.Name+".events.txt", out.Bytes(), false)
}

func (c *collection) machineTasks(ctx context.Context, m vsphere.VM) error {
	collector, err := task.NewManager(c.VCenter.Vim()).CreateCollectorForTasks(ctx, types.TaskFilterSpec{
		Entity: &types.TaskFilterSpecByEntity{Entity: m.Ref, Recursion: types.TaskFilterSpecRecursionOptionSelf}})
	if err != nil {
		return err
	}
	defer func() { _ = collector.Destroy(context.WithoutCancel(ctx)) }() // it ends with the session at the latest
	if err := collector.SetPageSize(ctx, history); err != nil {
		return err
	}
	tasks, err := collector.LatestPage(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, t := range slices.Backward(tasks) {
		fmt.Fprintf(&out, "%s %s %s", t.QueueTime.UTC().Format(time.RFC3339), t.DescriptionId, t.State)
		if t.Error != nil {
			fmt.Fprintf(&out, ": %s", t.Error.LocalizedMessage)
		}
		fmt.Fprintln(&out)
	}
	return c.file.add("vcenter/"+m.Name+".tasks.txt", out.Bytes(), false)
}
