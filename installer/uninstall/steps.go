package uninstall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/retry"
)

// Steps returns what removes the installation, in order: nothing that makes
// machines is left before the machines go.
func (u *Uninstallation) Steps() []step.Step {
	return []step.Step{&removeBootstrap{u}, &pause{u}, &removeMachines{u}, &removeTemplates{u}, &removeFiles{u}}
}

// pause keeps Cluster API from replacing what is removed.
type pause struct{ *Uninstallation }

// Name implements step.Step.
func (*pause) Name() string { return "pause the cluster" }

// Check implements step.Step. A cluster that does not answer makes no machines
// that the next step would not see.
func (s *pause) Check(ctx context.Context) (step.Status, error) {
	if s.found.Cluster == nil {
		return step.Status{Done: true, Detail: "it does not answer"}, nil
	}
	c, err := s.found.Cluster.Cluster(ctx, s.Site.Spec.Cluster.Name)
	if err != nil {
		return step.Status{Done: true, Detail: err.Error()}, ctx.Err()
	}
	return step.Status{Done: c == nil || c.Spec.Paused != nil && *c.Spec.Paused, Detail: "Cluster API replaces no machine"}, nil
}

// Apply implements step.Step.
func (s *pause) Apply(ctx context.Context, _ step.Say) error {
	c, err := s.found.Cluster.Cluster(ctx, s.Site.Spec.Cluster.Name)
	if c == nil || err != nil {
		return err
	}
	before := c.DeepCopy()
	c.Spec.Paused = new(true)
	if err := s.found.Cluster.Patch(ctx, c, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("pausing Cluster %s: %w", c.Name, err)
	}
	return nil
}

// removeMachines removes the cluster's machines.
type removeMachines struct{ *Uninstallation }

// Name implements step.Step.
func (*removeMachines) Name() string { return "remove the machines" }

// Check implements step.Step.
func (s *removeMachines) Check(ctx context.Context) (step.Status, error) {
	left, err := s.survey(ctx)
	if err != nil {
		return step.Status{}, err
	}
	if n := len(left.machines); n > 0 {
		return step.Status{Detail: fmt.Sprintf("%d machines are left", n)}, nil
	}
	return step.Status{Done: true, Detail: "none is left"}, nil
}

// removePause is how long is waited for a clone that was under way.
const removePause = 2 * time.Second

// Apply implements step.Step. All machines are turned off before the first is
// removed, and it looks again until none is left: one could have been cloned
// in the meantime.
func (s *removeMachines) Apply(ctx context.Context, say step.Say) error {
	for {
		left, err := s.survey(ctx)
		if err != nil || len(left.machines) == 0 {
			return err
		}
		s.found.Manager = nil // it may run on them: it would be waited for in vain
		err = each(ctx, left.machines, func(ctx context.Context, m vsphere.VM) error {
			say("turning off %s", m.Name)
			return s.VCenter.PowerOff(ctx, m)
		})
		if err != nil {
			return err
		}
		if err := s.destroy(ctx, left.machines, say); err != nil {
			return err
		}
		if err := retry.Sleep(ctx, removePause); err != nil {
			return err
		}
	}
}

func (u *Uninstallation) destroy(ctx context.Context, machines []vsphere.VM, say step.Say) error {
	return each(ctx, machines, func(ctx context.Context, m vsphere.VM) error {
		say("removing %s", m.Name)
		return u.VCenter.Destroy(ctx, m)
	})
}

// atOnce is how many tasks a vCenter is given at a time.
const atOnce = 8

// each does something with all machines, and returns the first error.
func each(ctx context.Context, machines []vsphere.VM, do func(context.Context, vsphere.VM) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, m := range machines {
		group.Go(func() error { return do(ctx, m) })
	}
	return group.Wait()
}

// removeTemplates removes the templates that sealift imported.
type removeTemplates struct{ *Uninstallation }

// Name implements step.Step.
func (*removeTemplates) Name() string { return "remove the node template" }

// Check implements step.Step.
func (s *removeTemplates) Check(ctx context.Context) (step.Status, error) {
	left, err := s.survey(ctx)
	if err != nil {
		return step.Status{}, err
	}
	if n := len(left.templates); n > 0 {
		return step.Status{Detail: fmt.Sprintf("%d templates are left", n)}, nil
	}
	return step.Status{Done: true, Detail: "none is left that only this cluster used"}, nil
}

// Apply implements step.Step.
func (s *removeTemplates) Apply(ctx context.Context, say step.Say) error {
	left, err := s.survey(ctx)
	if err != nil {
		return err
	}
	return s.destroy(ctx, left.templates, say)
}

// removeBootstrap removes the control plane on this host. It comes first: it
// refuses while an installation is running.
type removeBootstrap struct{ *Uninstallation }

// Name implements step.Step.
func (*removeBootstrap) Name() string { return "remove the bootstrap control plane" }

// bootstrap returns the control plane that was made, whatever the site says
// today.
func (u *Uninstallation) bootstrap() bootstrap.Bootstrap {
	dir := filepath.Join(u.Dir, "bootstrap")
	if u.kind() {
		return bootstrap.NewKind(bootstrap.KindOptions{Name: bootstrap.KindName(u.Site.Metadata.Name), Dir: dir})
	}
	return bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir})
}

func (u *Uninstallation) kind() bool {
	dir := filepath.Join(u.Dir, "bootstrap")
	_, err := os.Lstat(dir)
	return bootstrap.IsKind(dir) || errors.Is(err, fs.ErrNotExist) && u.Site.Spec.Bootstrap == site.BootstrapKind
}

// Check implements step.Step.
func (s *removeBootstrap) Check(ctx context.Context) (step.Status, error) {
	there, err := s.bootstrap().Exists(ctx)
	return step.Status{Done: !there, Detail: "nothing is left on this host"}, err
}

// Apply implements step.Step.
func (s *removeBootstrap) Apply(ctx context.Context, _ step.Say) error {
	return s.bootstrap().Remove(ctx)
}

// removeFiles removes the kubeconfig of the cluster, and the folder if nothing
// else is in it.
type removeFiles struct{ *Uninstallation }

// Name implements step.Step.
func (*removeFiles) Name() string { return "remove the kubeconfig" }

func (s *removeFiles) path() string { return filepath.Join(s.Dir, "kubeconfig") }

// Check implements step.Step.
func (s *removeFiles) Check(context.Context) (step.Status, error) {
	_, err := os.Lstat(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return step.Status{Done: true, Detail: "nothing is left on this host"}, nil
	}
	return step.Status{Detail: s.path()}, err
}

// Apply implements step.Step.
func (s *removeFiles) Apply(context.Context, step.Say) error {
	if err := os.Remove(s.path()); err != nil {
		return fmt.Errorf("removing the kubeconfig: %w", err)
	}
	_ = os.Remove(s.Dir) // what somebody else put there stays, and the folder with it
	return nil
}
