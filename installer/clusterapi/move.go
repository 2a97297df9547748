package clusterapi

import (
	"context"
	"fmt"
)

// Move moves the objects of the cluster into another management cluster.
func Move(ctx context.Context, from, to *Management, name string) error {
	if err := to.ensureNamespace(ctx, Namespace); err != nil {
		return err
	}
	if err := from.clusterctl.ObjectMover().Move(ctx, Namespace, to.clusterctl, false); err != nil {
		return fmt.Errorf("moving cluster %s: %w", name, err)
	}
	return nil
}
