package systemconsole

import (
	"slices"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

//go:generate go run ./generate ../manifests/enterprise/charts/systemconsole/crds

// Kinds are the kinds of everything that the console keeps.
func Kinds() []store.Kind {
	return slices.Concat(store.PulseKinds(), audit.Kinds(), auth.Kinds(), tenant.Kinds(), registries.Kinds(), settings.Kinds(), backup.Kinds(), upgrades.Kinds())
}
