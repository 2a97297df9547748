package manifests_test

import (
	"bytes"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
)

// render fills in a template and returns its documents.
func render(t *testing.T, file string, data any) []map[string]any {
	t.Helper()
	parsed, err := template.New("").Option("missingkey=error").ParseFS(manifests.Enterprise(), file)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, parsed.ExecuteTemplate(&out, file[strings.LastIndex(file, "/")+1:], data))
	var documents []map[string]any
	for _, text := range strings.Split(out.String(), "\n---\n") {
		var d map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), &d), text)
		require.NotEmpty(t, d["kind"])
		documents = append(documents, d)
	}
	return documents
}

// dig returns what stands below fields and, for numbers, elements.
func dig(at any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			at = at.(map[string]any)[p]
		case int:
			at = at.([]any)[p]
		}
	}
	return at
}

type kubeVIP struct {
	Image, Address string
	Port           int
	Interface      string
}

func TestKubeVIP(t *testing.T) {
	pods := render(t, "cluster/kube-vip.yaml", kubeVIP{Image: "r.example/kube-vip:v0.9.1", Address: "2001:db8::10", Port: 6443})
	require.Len(t, pods, 1)
	container := dig(pods[0], "spec", "containers", 0)
	require.Equal(t, "r.example/kube-vip:v0.9.1", dig(container, "image"))
	env := dig(container, "env").([]any)
	require.Contains(t, env, map[string]any{"name": "address", "value": "2001:db8::10"})
	require.Contains(t, env, map[string]any{"name": "port", "value": "6443"})
	require.NotContains(t, env, map[string]any{"name": "vip_interface", "value": ""})

	pods = render(t, "cluster/kube-vip.yaml", kubeVIP{Interface: "eth0"})
	require.Contains(t, dig(pods[0], "spec", "containers", 0, "env"), map[string]any{"name": "vip_interface", "value": "eth0"})
}

type cpi struct {
	Image, Server                     string
	Port                              int
	Datacenter, Authority, Thumbprint string
	Region, Zone                      string
	Exclude                           string
}

func TestCPI(t *testing.T) {
	config := func(c cpi) (object map[string]any, settings map[string]any) {
		for _, o := range render(t, "cluster/cloud-config.yaml", c) {
			if o["kind"] == "ConfigMap" {
				object = o
			}
			require.NotEqual(t, "Secret", o["kind"], "credentials are not written into files")
		}
		require.NoError(t, yaml.UnmarshalStrict([]byte(dig(object, "data", "vsphere.conf").(string)), &settings))
		return object, settings
	}
	const pem = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
	object, settings := config(cpi{Image: "r.example/cpi:v1", Server: "vcenter.example", Port: 8443, Datacenter: `north "1"`, Authority: pem,
		Region: "k8s-region", Zone: "k8s-zone", Exclude: "192.0.2.10/32"})
	require.Equal(t, pem, dig(object, "data", "vcenter.pem"))
	require.Equal(t, map[string]any{
		"global":  map[string]any{"port": 8443.0, "secretName": "vsphere-cloud-secret", "secretNamespace": "kube-system", "caFile": "/etc/cloud/vcenter.pem"},
		"vcenter": map[string]any{"vcenter": map[string]any{"server": "vcenter.example", "datacenters": []any{`north "1"`}}},
		"labels":  map[string]any{"region": "k8s-region", "zone": "k8s-zone"},
		"nodes": map[string]any{
			"excludeInternalNetworkSubnetCidr": "192.0.2.10/32", "excludeExternalNetworkSubnetCidr": "192.0.2.10/32"},
	}, settings)

	object, settings = config(cpi{Thumbprint: "AA:BB"})
	require.NotContains(t, dig(object, "data"), "vcenter.pem")
	require.Equal(t, "AA:BB", dig(settings, "global", "thumbprint"))
	require.NotContains(t, settings, "labels")
	require.NotContains(t, settings, "nodes")
}
