package clusterapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

// Namespace is where the objects of the management cluster are.
const Namespace = "sealift-system"

// apiPort is the port of the API servers.
const apiPort = 6443

// groups of the objects that others refer to.
const (
	groupInfrastructure = "infrastructure.cluster.x-k8s.io"
	groupControlPlane   = "controlplane.cluster.x-k8s.io"
	groupBootstrap      = "bootstrap.cluster.x-k8s.io"
	groupIPAM           = "ipam.cluster.x-k8s.io"
)

// Description is all that the management cluster is made from.
type Description struct {
	Site    *site.Site
	Release *release.Release
	// Placement is where the site's places are: what the site calls them is not
	// always what the provider would find by it.
	Placement *vsphere.Placement
	// Mapping says where in the site's registry images are.
	Mapping *mirror.Mapping
	// Images are the full references that nodes will pull.
	Images []string
	// RegistryCA is the certificate, PEM, of the registry's authority; nil
	// where the nodes trust it already.
	RegistryCA []byte
	// Registry is the nodes' login to the registry; without a user name they
	// pull anonymously.
	Registry site.Login
	VCenter  site.Login
	// Thumbprint is the SHA-1 of the vCenter's certificate, AA:BB:...: the only
	// thing by which CAPV trusts a vCenter.
	Thumbprint string
}

// Objects returns the objects of the cluster in the order in which they are
// applied. The same description gives the same objects. It fails with every
// problem at once.
func (d Description) Objects() ([]*unstructured.Unstructured, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	nodes, err := d.nodes()
	if err != nil {
		return nil, err
	}
	objects := []any{namespaceObject(), d.identity()}
	if nodes.credentials != nil {
		objects = append(objects, nodes.credentials)
	}
	if pool := d.addressPool(); pool != nil {
		objects = append(objects, pool)
	}
	machines, err := d.machineTemplate("control-plane", d.Site.Spec.Cluster.ControlPlane.Size)
	if err != nil {
		return nil, err
	}
	objects = append(objects, d.cluster(), d.vsphereCluster(), machines, d.controlPlane(machines.GetName(), nodes.controlPlane), d.healthCheck())
	for _, pool := range d.Site.Spec.Cluster.Workers {
		more, err := d.workers(pool, nodes.worker)
		if err != nil {
			return nil, err
		}
		objects = append(objects, more...)
	}
	return convert(objects)
}

// Logins returns the objects that hold the site's logins to vCenter and
// registry. They are all that a cluster which manages itself takes from a site
// whose passwords changed: machines that are there stay as they are.
func (d Description) Logins() ([]*unstructured.Unstructured, error) {
	objects, err := d.Objects()
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() != "Secret" }), err
}

// Render returns the objects as YAML, with every secret's content left out:
// what --dry-run shows.
func (d Description) Render() ([]byte, error) {
	objects, err := d.Objects()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, o := range objects {
		if o.GetKind() == "Secret" {
			data, _, _ := unstructured.NestedMap(o.Object, "data")
			for key := range data {
				data[key] = "[redacted]"
			}
			if err := unstructured.SetNestedMap(o.Object, data, "data"); err != nil {
				return nil, err
			}
		}
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, err
		}
		out = append(append(out, "---\n"...), text...)
	}
	return out, nil
}

// ApplyCluster applies the objects of a description.
func (m *Management) ApplyCluster(ctx context.Context, d Description) error {
	objects, err := d.Objects()
	if err != nil {
		return err
	}
	return m.ApplyObjects(ctx, objects)
}

// check says what the description lacks.
func (d Description) check() error {
	var faults []error
	if d.Thumbprint == "" {
		faults = append(faults, errors.New("the thumbprint of the vCenter's certificate is not known: CAPV would trust any"))
	}
	if d.VCenter.Username == "" || d.VCenter.Password.Empty() {
		faults = append(faults, errors.New("there is no login to the vCenter"))
	}
	hasIPAM := slices.ContainsFunc(d.Release.Spec.Providers, func(p release.Provider) bool { return p.Type == release.IPAM })
	if !d.Site.Spec.Network.Addresses.DHCP && !hasIPAM {
		faults = append(faults, problem.New(problem.Preflight, "use a bundle with a provider of the type ipam, or addresses: {dhcp: true}",
			"the release has no provider that hands out addresses of a range"))
	}
	if v := d.Site.Spec.Cluster.KubernetesVersion; v != "" && v != d.Release.Spec.KubernetesVersion {
		faults = append(faults, problem.New(problem.Preflight, "leave out spec.cluster.kubernetesVersion, or use the bundle of that version",
			"the site wants Kubernetes %s, the release has %s", v, d.Release.Spec.KubernetesVersion))
	}
	if len(faults) > 0 {
		return fmt.Errorf("describing the cluster: %w", errors.Join(faults...))
	}
	return nil
}

func (d Description) name() string { return d.Site.Spec.Cluster.Name }

// meta is what every object of the cluster has.
func (d Description) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: map[string]string{clusterv1.ClusterNameLabel: d.name()}}
}

func namespaceObject() *corev1.Namespace {
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
}

// identity is the login by which CAPV manages machines.
func (d Description) identity() *corev1.Secret {
	return d.secret(d.name()+"-vcenter", map[string][]byte{
		"username": []byte(d.VCenter.Username), "password": []byte(d.VCenter.Password.Reveal()),
	})
}

// secret is one that goes along with a move.
func (d Description) secret(name string, data map[string][]byte) *corev1.Secret {
	s := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: d.meta(name), Data: data}
	s.Labels[clusterctlv1.ClusterctlMoveLabel] = ""
	return s
}

func (d Description) cluster() *clusterv1.Cluster {
	c := d.Site.Spec.Cluster
	return &clusterv1.Cluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster"},
		ObjectMeta: d.meta(d.name()),
		Spec: clusterv1.ClusterSpec{
			ClusterNetwork: clusterv1.ClusterNetwork{
				Pods:     clusterv1.NetworkRanges{CIDRBlocks: []string{c.PodCIDR}},
				Services: clusterv1.NetworkRanges{CIDRBlocks: []string{c.ServiceCIDR}},
			},
			ControlPlaneRef:   clusterv1.ContractVersionedObjectReference{APIGroup: groupControlPlane, Kind: "KubeadmControlPlane", Name: d.name()},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: groupInfrastructure, Kind: "VSphereCluster", Name: d.name()},
		},
	}
}

// controlPlane is changed one machine at a time: the new one comes first.
func (d Description) controlPlane(template string, config bootstrapv1.KubeadmConfigSpec) *controlplanev1.KubeadmControlPlane {
	kcp := &controlplanev1.KubeadmControlPlane{
		TypeMeta:   metav1.TypeMeta{APIVersion: controlplanev1.GroupVersion.String(), Kind: "KubeadmControlPlane"},
		ObjectMeta: d.meta(d.name()),
	}
	kcp.Spec.Replicas = new(int32(d.Site.Spec.Cluster.ControlPlane.Replicas))
	kcp.Spec.Version = d.Release.Spec.KubernetesVersion
	kcp.Spec.KubeadmConfigSpec = config
	kcp.Spec.MachineTemplate.Spec.InfrastructureRef = machineRef(template)
	kcp.Spec.Rollout.Strategy.Type = controlplanev1.RollingUpdateStrategyType
	kcp.Spec.Rollout.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(1))
	return kcp
}

func machineRef(template string) clusterv1.ContractVersionedObjectReference {
	return clusterv1.ContractVersionedObjectReference{APIGroup: groupInfrastructure, Kind: "VSphereMachineTemplate", Name: template}
}

// workers are the objects of a pool of workers.
func (d Description) workers(pool site.WorkerPool, config bootstrapv1.KubeadmConfigSpec) ([]any, error) {
	machines, err := d.machineTemplate(pool.Name, pool.Size)
	if err != nil {
		return nil, err
	}
	name := d.name() + "-" + pool.Name
	sum, err := short(config)
	if err != nil {
		return nil, err
	}
	template := &bootstrapv1.KubeadmConfigTemplate{
		TypeMeta:   metav1.TypeMeta{APIVersion: bootstrapv1.GroupVersion.String(), Kind: "KubeadmConfigTemplate"},
		ObjectMeta: d.meta(name + "-" + sum),
	}
	template.Spec.Template.Spec = config
	deployment := &clusterv1.MachineDeployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: clusterv1.GroupVersion.String(), Kind: "MachineDeployment"},
		ObjectMeta: d.meta(name),
	}
	s := &deployment.Spec
	s.ClusterName, s.Replicas = d.name(), new(int32(pool.Replicas))
	s.Rollout.Strategy.Type = clusterv1.RollingUpdateMachineDeploymentStrategyType
	s.Rollout.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(1))
	s.Rollout.Strategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(0))
	labels := map[string]string{clusterv1.ClusterNameLabel: d.name(), "sealift.dev/pool": pool.Name}
	s.Selector.MatchLabels, s.Template.Labels = labels, labels
	s.Template.Spec.ClusterName, s.Template.Spec.Version = d.name(), d.Release.Spec.KubernetesVersion
	s.Template.Spec.Bootstrap.ConfigRef = clusterv1.ContractVersionedObjectReference{APIGroup: groupBootstrap, Kind: "KubeadmConfigTemplate", Name: template.Name}
	s.Template.Spec.InfrastructureRef = machineRef(machines.GetName())
	return []any{machines, template, deployment}, nil
}

// Times after which a machine is given up and made anew.
const (
	startupSeconds   = 20 * 60 // from its creation to its node
	unhealthySeconds = 5 * 60  // without a word of its kubelet
)

// healthCheck lets machines that are gone come back by themselves.
func (d Description) healthCheck() *clusterv1.MachineHealthCheck {
	check := &clusterv1.MachineHealthCheck{
		TypeMeta:   metav1.TypeMeta{APIVersion: clusterv1.GroupVersion.String(), Kind: "MachineHealthCheck"},
		ObjectMeta: d.meta(d.name()),
	}
	check.Spec.ClusterName = d.name()
	check.Spec.Selector.MatchLabels = map[string]string{clusterv1.ClusterNameLabel: d.name()}
	check.Spec.Checks.NodeStartupTimeoutSeconds = new(int32(startupSeconds))
	for _, status := range []corev1.ConditionStatus{corev1.ConditionUnknown, corev1.ConditionFalse} {
		check.Spec.Checks.UnhealthyNodeConditions = append(check.Spec.Checks.UnhealthyNodeConditions,
			clusterv1.UnhealthyNodeCondition{Type: corev1.NodeReady, Status: status, TimeoutSeconds: new(int32(unhealthySeconds))})
	}
	return check
}

// short returns a few digits that tell one content from another, for the names
// of objects that cannot be changed.
func short(content any) (string, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4]), nil
}

// convert makes objects as they are applied of typed ones.
func convert(objects []any) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if u, ok := o.(*unstructured.Unstructured); ok {
			out = append(out, u)
			continue
		}
		data, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal(data, &u.Object); err != nil {
			return nil, err
		}
		unstructured.RemoveNestedField(u.Object, "status")
		unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
		out = append(out, u)
	}
	return out, nil
}
