package manifests

import (
	"embed"
	"io/fs"
)

//go:embed console/tenant.yaml
var tenant string

// Tenant returns the template of a tenant's place in a cluster; package
// systemconsole/tenant/kube fills it in.
func Tenant() string { return tenant }

//go:embed enterprise/charts/systemconsole/crds/*.yaml
var consoleResources embed.FS

// ConsoleResources returns the definitions of the resources that the console
// keeps its objects in, one a file.
func ConsoleResources() ([][]byte, error) {
	names, err := fs.Glob(consoleResources, "enterprise/charts/systemconsole/crds/*.yaml")
	if err != nil {
		return nil, err
	}
	out := make([][]byte, 0, len(names))
	for _, name := range names {
		data, err := consoleResources.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}
