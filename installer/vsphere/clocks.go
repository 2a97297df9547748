package vsphere

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
)

// Time returns what the vCenter's clock says.
func (c *Client) Time(ctx context.Context) (time.Time, error) {
	now, err := methods.GetCurrentTime(ctx, c.vim)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for the vCenter's time: %w", err)
	}
	return *now, nil
}

// HostTime returns what a host's clock says. Not every user may ask for it.
func (c *Client) HostTime(ctx context.Context, host Object) (time.Time, error) {
	system, err := object.NewHostSystem(c.vim, host.Ref).ConfigManager().DateTimeSystem(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for the time of %s: %w", host.Name(), err)
	}
	now, err := system.Query(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for the time of %s: %w", host.Name(), err)
	}
	return *now, nil
}
