package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
)

// lookTimeout is how long a cluster may take to answer a look at it.
const lookTimeout = 10 * time.Second

// cluster returns the cluster itself as a management cluster; nil as long as
// there is none.
func (in *Installation) cluster(ctx context.Context) (*clusterapi.Management, error) {
	if in.own != nil {
		return in.own, nil
	}
	if _, err := os.Stat(in.Kubeconfig()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was not made yet
	}
	var err error
	in.own, err = clusterapi.Connect(ctx, in.Kubeconfig())
	return in.own, err
}

// pivoted tells whether the cluster manages itself: it holds its own object,
// complete and not paused.
func (in *Installation) pivoted(ctx context.Context) (bool, error) {
	own, err := in.cluster(ctx)
	if own == nil || err != nil {
		return false, err
	}
	// A move leaves it paused until everything is there.
	c, err := in.lookUp(ctx, own)
	switch {
	case err != nil:
		return false, in.unlessBefore(ctx, err)
	case c != nil && paused(c):
		return false, in.unlessMoving(ctx)
	}
	return c != nil, nil
}

// unlessMoving fails for a cluster that is paused, unless it is on its way from
// the bootstrap control plane. It was paused by somebody, as an uninstallation
// does first: to begin anew would make its machines a second time.
func (in *Installation) unlessMoving(ctx context.Context) error {
	there, err := in.boot.Exists(ctx)
	if err != nil || there {
		return err
	}
	name := in.Site.Spec.Cluster.Name
	return problem.New(problem.Preflight, "find out who paused it, and why: an uninstallation that was interrupted goes on with sealift uninstall; else take spec.paused out of Cluster "+name,
		"cluster %s is paused", name)
}

func (in *Installation) lookUp(ctx context.Context, at *clusterapi.Management) (*clusterv1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return at.Cluster(ctx, in.Site.Spec.Cluster.Name)
}

func paused(c *clusterv1.Cluster) bool { return c.Spec.Paused != nil && *c.Spec.Paused }

// unlessBefore returns what a look at the cluster itself failed with, unless the
// bootstrap control plane still has the cluster, and no move of it has begun:
// then it is only not up yet. To know, the bootstrap control plane has to run,
// and that it is started harms nothing.
func (in *Installation) unlessBefore(ctx context.Context, failed error) error {
	if ctx.Err() != nil {
		return failed
	}
	if in.first == nil {
		there, err := in.boot.Exists(ctx)
		if err == nil && there {
			return nil
		}
		return errors.Join(failed, err)
	}
	c, err := in.lookUp(ctx, in.first)
	if err == nil && c != nil && !paused(c) {
		return nil
	}
	return errors.Join(failed, err)
}

// manager returns where the objects of the cluster are: on the bootstrap
// control plane before the pivot, in the cluster afterwards; nil before there is any.
func (in *Installation) manager(ctx context.Context) (*clusterapi.Management, error) {
	done, err := in.pivoted(ctx)
	if err != nil {
		return nil, err
	}
	if done {
		return in.own, nil
	}
	return in.first, nil
}

// managesItself is the status of steps that nobody needs after the pivot.
func managesItself() step.Status {
	return step.Status{Done: true, Detail: "the cluster manages itself"}
}
