package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/sealift/sealift/installer/clusterapi"
)

// chartRelease is a chart that Helm installs in the cluster, under a name.
type chartRelease struct {
	name, namespace string
	chart           *chart.Chart
	values          map[string]any // as JSON has them
}

// chartTimeout is how long the hooks of a chart may take.
const chartTimeout = 5 * time.Minute

func loadChart(name string, archive []byte) (*chart.Chart, error) {
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", name, err)
	}
	return c, nil
}

// helm is Helm's view of a namespace of the cluster.
func (in *Installation) helm(namespace string) (*action.Configuration, error) {
	flags := genericclioptions.NewConfigFlags(false)
	path := in.Kubeconfig()
	flags.KubeConfig, flags.Namespace = &path, &namespace
	config := &action.Configuration{}
	if err := config.Init(flags, namespace, "secret", func(string, ...any) {}); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	return config, nil
}

// installed returns what Helm last installed under the name of r; nil when
// there is nothing.
func (in *Installation) installed(r chartRelease) (*release.Release, error) {
	config, err := in.helm(r.namespace)
	if err != nil {
		return nil, err
	}
	there, err := action.NewGet(config).Run(r.name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the release of chart %s: %w", r.name, err)
	}
	return there, nil
}

// is tells whether what is installed is r. Helm's record is compared and not
// what the chart renders to: charts make passwords and certificates anew each time.
func (r chartRelease) is(there *release.Release) bool {
	if there == nil || there.Info.Status != release.StatusDeployed || there.Chart.Metadata.Version != r.chart.Metadata.Version {
		return false
	}
	return len(there.Config)+len(r.values) == 0 || reflect.DeepEqual(there.Config, r.values)
}

// asJSON returns values as they are after Helm has kept them.
func asJSON(values map[string]any) (map[string]any, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(data, &out)
}

// applyChart installs a chart, or brings it to this version and these values:
// the kinds first, which Helm itself would never bring to a newer version.
func (in *Installation) applyChart(ctx context.Context, own *clusterapi.Management, r chartRelease) error {
	var kinds []*unstructured.Unstructured
	for _, crd := range r.chart.CRDObjects() {
		objects, err := clusterapi.ParseManifests(crd.File.Data)
		if err != nil {
			return fmt.Errorf("%s of chart %s: %w", crd.Filename, r.name, err)
		}
		kinds = append(kinds, objects...)
	}
	if err := own.ApplyKinds(ctx, kinds); err != nil {
		return err
	}
	return in.upgradeChart(ctx, r)
}

// upgradeChart takes back first what an interrupted run left pending.
func (in *Installation) upgradeChart(ctx context.Context, r chartRelease) error {
	config, err := in.helm(r.namespace)
	if err != nil {
		return err
	}
	last, err := config.Releases.Last(r.name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		return installChart(ctx, config, r)
	case err != nil:
		return fmt.Errorf("asking for the release of chart %s: %w", r.name, err)
	case last.Info.Status.IsPending() || last.Version == 1 && last.Info.Status == release.StatusFailed:
		if _, err := config.Releases.Delete(r.name, last.Version); err != nil {
			return fmt.Errorf("forgetting the interrupted release of chart %s: %w", r.name, err)
		}
		return in.upgradeChart(ctx, r)
	}
	upgrade := action.NewUpgrade(config)
	upgrade.Namespace, upgrade.Timeout, upgrade.ResetValues, upgrade.SkipSchemaValidation = r.namespace, chartTimeout, true, true
	if _, err := upgrade.RunWithContext(ctx, r.name, r.chart, r.values); err != nil {
		return fmt.Errorf("upgrading chart %s: %w", r.name, err)
	}
	return nil
}

func installChart(ctx context.Context, config *action.Configuration, r chartRelease) error {
	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = r.name, r.namespace, true
	// An earlier run may have got as far as making objects: they are taken over.
	// A schema may refer to others that are not here; the bundle's maker checked it.
	install.TakeOwnership, install.SkipCRDs, install.SkipSchemaValidation, install.Timeout = true, true, true, chartTimeout
	if _, err := install.RunWithContext(ctx, r.chart, r.values); err != nil {
		return fmt.Errorf("installing chart %s: %w", r.name, err)
	}
	return nil
}

// waiting names the charts that are not installed as they should be.
func (in *Installation) waiting(releases []chartRelease) ([]string, error) {
	var out []string
	for _, r := range releases {
		there, err := in.installed(r)
		if err != nil {
			return nil, err
		}
		if !r.is(there) {
			out = append(out, "chart "+r.name)
		}
	}
	return out, nil
}
