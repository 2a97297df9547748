package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/step"
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
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	// A move leaves it paused until everything is there.
	c, err := own.Cluster(ctx, in.Site.Spec.Cluster.Name)
	if err != nil {
		return false, err
	}
	return c != nil && (c.Spec.Paused == nil || !*c.Spec.Paused), nil
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
