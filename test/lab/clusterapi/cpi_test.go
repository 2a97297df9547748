//go:build e2e

package clusterapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/vcenter"
)

// checkCloudProvider lets a node join that runs on a machine, and sees the
// cloud provider give it what it has in the vCenter: with the rights that its
// manifest grants, and none beside.
func (l *local) checkCloudProvider(v *vcenter.VCenter, spec vcenter.Spec) {
	l.t.Helper()
	l.startCloudProvider(v)
	node, err := json.Marshal(fields{
		"apiVersion": "v1", "kind": "Node", "metadata": fields{"name": spec.Name},
		"spec":   fields{"taints": []fields{{"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}}},
		"status": fields{"nodeInfo": fields{"systemUUID": spec.UUID}},
	})
	require.NoError(l.t, err)
	l.kubectl("create", "-f", l.write("node.json", node))

	var got struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct {
			ProviderID string
			Taints     []struct{ Key string }
		}
		Status struct {
			Addresses []struct{ Type, Address string }
		}
	}
	l.eventually(time.Minute, func() error {
		text := l.kubectl("get", "node", spec.Name, "-o", "json")
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Spec.ProviderID != "" {
			return err
		}
		return errors.New("the node has no providerID: " + text)
	})
	require.Equal(l.t, "vsphere://"+spec.UUID, got.Spec.ProviderID, "as the machine has it, which Cluster API compares")
	require.Equal(l.t, "north", got.Metadata.Labels["topology.kubernetes.io/region"])
	require.Equal(l.t, "north-a", got.Metadata.Labels["topology.kubernetes.io/zone"])
	require.Contains(l.t, got.Status.Addresses, struct{ Type, Address string }{"InternalIP", "192.0.2.1"})
	for _, taint := range got.Spec.Taints {
		require.NotEqual(l.t, "node.cloudprovider.kubernetes.io/uninitialized", taint.Key)
	}
	require.NotContains(l.t, l.said("vsphere-cloud-controller-manager"), "forbidden")
}

// startCloudProvider applies the addon but its DaemonSet, writes the Secret as
// the installer does, and starts the program with the addon's configuration.
func (l *local) startCloudProvider(v *vcenter.VCenter) {
	l.t.Helper()
	port, err := strconv.Atoi(v.URL().Port())
	require.NoError(l.t, err)
	addon, err := fs.ReadFile(manifests.Enterprise(), "addons/cpi.yaml")
	require.NoError(l.t, err)
	parsed, err := template.ParseFS(manifests.Enterprise(), "cluster/cloud-config.yaml")
	require.NoError(l.t, err)
	out := bytes.NewBuffer(append(addon, "\n---\n"...))
	require.NoError(l.t, parsed.Execute(out, fields{
		"Server": v.URL().Hostname(), "Port": port, "Datacenter": "north", "Authority": string(v.Authority()), "Thumbprint": "",
		"Region": "k8s-region", "Zone": "k8s-zone", "Exclude": "192.0.2.250/32",
	}))
	dir := filepath.Join(l.dir, "cloud")
	require.NoError(l.t, os.Mkdir(dir, 0o700))
	var applied []string
	for _, document := range strings.Split(out.String(), "\n---\n") {
		var o struct {
			Kind string
			Data map[string]string
		}
		require.NoError(l.t, yaml.Unmarshal([]byte(document), &o))
		if o.Kind != "DaemonSet" {
			applied = append(applied, document)
		}
		for name, text := range o.Data {
			require.NoError(l.t, os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "/etc/cloud", dir)), 0o600))
		}
	}
	l.kubectl("apply", "--server-side", "-f", l.write("cpi.yaml", []byte(strings.Join(applied, "\n---\n"))))
	user, server := vcenter.Installer(), v.URL().Hostname()
	l.kubectl("create", "secret", "generic", "vsphere-cloud-secret", "--namespace=kube-system",
		"--from-literal="+server+".username="+user.Name, "--from-literal="+server+".password="+user.Password)
	token := l.kubectl("create", "token", "cloud-controller-manager", "--namespace=kube-system")
	kubeconfig := l.writeKubeconfig("cpi.conf", strings.TrimSpace(token))
	l.start("vsphere-cloud-controller-manager", nil, "--cloud-provider=vsphere", "--cloud-config="+filepath.Join(dir, "vsphere.conf"),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port="+l.port(), "--v=2")
}
