package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// ErrHeld means: something of a tenant could not be removed. The error that it
// is in says what, and what holds it.
var ErrHeld = errors.New("something is in the way")

// The times of a deletion that has begun, whether somebody waits for its end or
// not. That of the place leaves some for what is removed after it.
const (
	deletionTime = 5 * time.Minute
	placeTime    = 90 * time.Second
)

// Deletion is what a deletion did.
type Deletion struct {
	Removed []string `json:"removed"`        // in the order of their removal
	Left    []string `json:"left,omitempty"` // what could not be removed, with why
}

// Delete removes a tenant with all that it has: its place in the cluster, its
// sessions, links and users, its key and itself. Whoever it is asked for must
// confirm it with the tenant's name. When something cannot be removed it stops
// and can be asked for again; forced, it goes on and names what is left. Once it
// has begun it does not end because who asked for it has gone.
func (s *Service) Delete(ctx context.Context, name, confirmed string, force bool) (Deletion, error) {
	var d Deletion
	if confirmed != name {
		return d, form.Fail("confirm", "enter %s to confirm", name)
	}
	_, err := audit.Modify(ctx, s.log, s.tenants, name, "tenant.delete.begin", func(t *Tenant) error {
		t.State = Deleting
		return nil
	})
	if err != nil {
		return d, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deletionTime)
	defer cancel()
	for _, step := range []struct {
		what string
		do   func(context.Context, string, *Deletion) error
	}{
		{"sessions and links", func(ctx context.Context, name string, _ *Deletion) error { return s.expel(ctx, name) }},
		{"place in the cluster", s.removePlace},
		{"users", s.removeUsers},
	} {
		err := step.do(ctx, name, &d)
		if err == nil {
			continue
		}
		err = fmt.Errorf("removing the %s of tenant %s: %w", step.what, name, err)
		if !force {
			return d, err
		}
		d.Left = append(d.Left, err.Error())
	}
	return d, s.remove(ctx, name, &d)
}

func (s *Service) removePlace(ctx context.Context, name string, d *Deletion) error {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	removed, err := s.opts.Provisioner.Remove(ctx, name)
	d.Removed = append(d.Removed, removed...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHeld, err)
	}
	return nil
}

func (s *Service) removeUsers(ctx context.Context, name string, d *Deletion) error {
	for item, err := range s.users.All(ctx, name) {
		if err != nil {
			return err
		}
		err := audit.Delete(ctx, s.log, s.users, item, "tenant.user.delete")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		d.Removed = append(d.Removed, UserKind+" "+item.Name)
	}
	return nil
}

// remove removes the tenant itself, and with it the key: what it sealed and is
// left somewhere is unreadable from now on.
func (s *Service) remove(ctx context.Context, name string, d *Deletion) error {
	item, err := s.tenants.Get(ctx, name)
	if err != nil {
		return err
	}
	d.Removed = append(d.Removed, "data key of "+name, Kind+" "+name)
	e := audit.Event{Action: "tenant.delete", Object: Kind + "/" + name, Before: item.Value.Audit(), After: *d}
	return s.log.Do(ctx, e, func() error { return s.tenants.Delete(ctx, name, item.Version) })
}
