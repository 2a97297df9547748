package manifests_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
)

// object is what a test looks at of a component.
type object struct {
	APIVersion, Kind string
	Metadata         struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec struct {
		Conversion struct{ Webhook hook }
		Template   struct {
			Spec struct {
				Containers []struct{ Image string }
				Volumes    []struct {
					Secret struct{ SecretName string }
				}
			}
		}
	}
	Webhooks []hook
}

type hook struct {
	ClientConfig struct {
		CABundle string
		Service  struct{ Name, Namespace, Path string }
	}
}

func components(t *testing.T, file string) (all []object, text string) {
	t.Helper()
	data, err := fs.ReadFile(manifests.Enterprise(), file)
	require.NoError(t, err)
	for _, document := range strings.Split(string(data), "\n---\n")[1:] {
		var o object
		require.NoError(t, yaml.Unmarshal([]byte(document), &o))
		all = append(all, o)
	}
	return all, string(data)
}

func TestProviders(t *testing.T) {
	for file, want := range map[string]struct{ label, image, service string }{
		"core":                   {"cluster-api", "registry.k8s.io/cluster-api/cluster-api-controller:v1.13.", "capi"},
		"bootstrap-kubeadm":      {"bootstrap-kubeadm", "registry.k8s.io/cluster-api/kubeadm-bootstrap-controller:v1.13.", "capi-kubeadm-bootstrap"},
		"control-plane-kubeadm":  {"control-plane-kubeadm", "registry.k8s.io/cluster-api/kubeadm-control-plane-controller:v1.13.", "capi-kubeadm-control-plane"},
		"infrastructure-vsphere": {"infrastructure-vsphere", "registry.k8s.io/cluster-api-vsphere/cluster-api-vsphere-controller:v1.16.1", "capv"},
		"ipam-in-cluster":        {"ipam-in-cluster", "registry.k8s.io/capi-ipam-ic/cluster-api-ipam-in-cluster-controller:v1.1.0", "capi-ipam-in-cluster"},
	} {
		t.Run(file, func(t *testing.T) {
			all, text := components(t, "providers/"+file+".yaml")
			require.NotContains(t, text, "cert-manager")
			require.NotContains(t, text, "${")
			kinds := map[string]int{}
			for _, o := range all {
				kinds[o.Kind]++
				require.Equal(t, want.label, o.Metadata.Labels["cluster.x-k8s.io/provider"], o.Metadata.Name)
				require.Contains(t, o.Metadata.Labels, "clusterctl.cluster.x-k8s.io", o.Metadata.Name)
				for _, h := range append(o.Webhooks, o.Spec.Conversion.Webhook) {
					checkService(t, h, want.service)
				}
				if o.Kind == "CustomResourceDefinition" && !slices.Contains([]string{"core", "ipam-in-cluster"}, file) {
					require.Equal(t, "v1beta2", o.Metadata.Labels["cluster.x-k8s.io/v1beta2"], o.Metadata.Name)
				}
				if o.Kind == "Deployment" {
					require.True(t, strings.HasPrefix(o.Spec.Template.Spec.Containers[0].Image, want.image))
					require.Equal(t, want.service+"-webhook-service-cert", o.Spec.Template.Spec.Volumes[0].Secret.SecretName)
				}
			}
			require.Equal(t, 1, kinds["Deployment"])
			require.NotZero(t, kinds["Service"])
			require.Equal(t, "Namespace", all[0].Kind, "what others stand in comes first")
		})
	}
}

// checkService checks that the API server will ask the provider's one Service.
func checkService(t *testing.T, h hook, prefix string) {
	t.Helper()
	if service := h.ClientConfig.Service; service.Path != "" {
		require.Equal(t, prefix+"-webhook-service", service.Name)
		require.Equal(t, prefix+"-system", service.Namespace)
	}
	require.Empty(t, h.ClientConfig.CABundle, "the installer fills it in")
}
