package enterprise

import (
	"context"

	"github.com/sealift/sealift/internal/upgrade"
)

// Upgrader brings the cluster to the release of a newer bundle. The command
// that runs the console gives it one; it is nil where the console cannot.
type Upgrader interface {
	// Bundles returns the bundles that an upgrade can be made of.
	Bundles(ctx context.Context) ([]upgrade.Bundle, error)
	// Plan returns what an upgrade to a bundle would change, and changes
	// nothing. The bundle's signature is checked before anything of it is
	// believed.
	Plan(ctx context.Context, bundle string) (*upgrade.Plan, error)
	// Run carries an upgrade out, or goes on with one that was cut off at any
	// moment: what is done is found out by looking at the site. The choices
	// settle conflicts of values. It fails when one is left.
	Run(ctx context.Context, bundle string, choices upgrade.Choices, o upgrade.Observer) error
	// Installed returns what the last installation or upgrade brought; nil when
	// the cluster has no record of it.
	Installed(ctx context.Context) (*upgrade.Installed, error)
	// Registry returns the one that the cluster was installed from.
	Registry(ctx context.Context) (*upgrade.Registry, error)
}
