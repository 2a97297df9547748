package controlplane

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Namespace and Name are those of the cluster that Populate makes.
const (
	Namespace = "sealift-system"
	Name      = "enterprise"
	version   = "v1.34.4"
)

// Cluster is the objects of an enterprise cluster on an API server.
type Cluster struct {
	client.Client
	Config *rest.Config
}

// Populate installs the kinds of Cluster API and writes the objects of a cluster
// with three control planes and two workers as they are when its installation is
// done. None of its controllers runs: Settle does their work.
func Populate(ctx context.Context, config *rest.Config) (*Cluster, error) {
	definitions, err := kinds()
	if err != nil {
		return nil, err
	}
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{CRDs: definitions}); err != nil {
		return nil, fmt.Errorf("installing the kinds of Cluster API: %w", err)
	}
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, clusterv1.AddToScheme, controlplanev1.AddToScheme, bootstrapv1.AddToScheme} {
		if err := add(known); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config, client.Options{Scheme: known})
	if err != nil {
		return nil, err
	}
	out := &Cluster{c, config}
	for _, o := range objects() {
		if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("making %T %s: %w", o, o.GetName(), err)
		}
	}
	return out, out.Settle(ctx)
}

func objects() []client.Object {
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}},
		machineTemplate(Name+"-control-plane", 8, 16384, 60), machineTemplate(Name+"-default", 8, 16384, 60),
		&bootstrapv1.KubeadmConfigTemplate{ObjectMeta: meta(Name + "-default"), Spec: bootstrapv1.KubeadmConfigTemplateSpec{
			Template: bootstrapv1.KubeadmConfigTemplateResource{Spec: bootstrapv1.KubeadmConfigSpec{PreKubeadmCommands: []string{"true"}}}}},
		&clusterv1.Cluster{ObjectMeta: meta(Name), Spec: clusterv1.ClusterSpec{
			ControlPlaneEndpoint: clusterv1.APIEndpoint{Host: "10.20.0.10", Port: 6443},
			ControlPlaneRef:      reference("controlplane.cluster.x-k8s.io", "KubeadmControlPlane", Name+"-control-plane"),
			InfrastructureRef:    reference("infrastructure.cluster.x-k8s.io", "VSphereCluster", Name),
		}},
		&controlplanev1.KubeadmControlPlane{ObjectMeta: meta(Name + "-control-plane"), Spec: controlplanev1.KubeadmControlPlaneSpec{
			Replicas: new(int32(3)), Version: version,
			MachineTemplate: controlplanev1.KubeadmControlPlaneMachineTemplate{Spec: controlplanev1.KubeadmControlPlaneMachineTemplateSpec{
				InfrastructureRef: reference("infrastructure.cluster.x-k8s.io", "VSphereMachineTemplate", Name+"-control-plane")}},
		}},
		deployment(),
	}
}

func deployment() *clusterv1.MachineDeployment {
	labels := map[string]string{clusterv1.ClusterNameLabel: Name, clusterv1.MachineDeploymentNameLabel: Name + "-default"}
	d := &clusterv1.MachineDeployment{ObjectMeta: meta(Name + "-default")}
	d.Spec.ClusterName = Name
	d.Spec.Replicas = new(int32(2))
	d.Spec.Selector.MatchLabels = labels
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec = clusterv1.MachineSpec{ClusterName: Name, Version: version,
		InfrastructureRef: reference("infrastructure.cluster.x-k8s.io", "VSphereMachineTemplate", Name+"-default"),
		Bootstrap:         clusterv1.Bootstrap{ConfigRef: reference("bootstrap.cluster.x-k8s.io", "KubeadmConfigTemplate", Name+"-default")}}
	return d
}

func machineTemplate(name string, cpus, memory, disk int64) client.Object {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "VSphereMachineTemplate",
		"metadata": map[string]any{"name": name, "namespace": Namespace},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"numCPUs": cpus, "memoryMiB": memory, "diskGiB": disk, "template": "node-1.34", "server": "vcenter.north.example",
			"network": map[string]any{"devices": []any{map[string]any{"networkName": "VM Network"}}},
		}}},
	}}
	return o
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: map[string]string{clusterv1.ClusterNameLabel: Name}}
}

func reference(group, kind, name string) clusterv1.ContractVersionedObjectReference {
	return clusterv1.ContractVersionedObjectReference{APIGroup: group, Kind: kind, Name: name}
}

// Settle brings machines and nodes to what the objects ask for, and writes the
// statuses that Cluster API's controllers write when they are done.
func (c *Cluster) Settle(ctx context.Context) error {
	var k controlplanev1.KubeadmControlPlane
	if err := c.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: Name + "-control-plane"}, &k); err != nil {
		return err
	}
	labels := map[string]string{clusterv1.ClusterNameLabel: Name, clusterv1.MachineControlPlaneLabel: ""}
	if err := c.machines(ctx, k.Name, labels, k.Spec.MachineTemplate.Spec.InfrastructureRef, int(*k.Spec.Replicas)); err != nil {
		return err
	}
	n := k.Spec.Replicas
	k.Status.Replicas, k.Status.ReadyReplicas, k.Status.AvailableReplicas, k.Status.UpToDateReplicas = n, n, n, n
	k.Status.ObservedGeneration = k.Generation
	k.Status.Conditions = []metav1.Condition{condition("Available", metav1.ConditionTrue, "Available"), condition("RollingOut", metav1.ConditionFalse, "NotRollingOut"),
		condition("EtcdClusterHealthy", metav1.ConditionTrue, "Healthy")}
	if err := c.Status().Update(ctx, &k); err != nil {
		return fmt.Errorf("writing the control plane's status: %w", err)
	}
	return c.settleWorkers(ctx)
}

func (c *Cluster) settleWorkers(ctx context.Context) error {
	var list clusterv1.MachineDeploymentList
	if err := c.List(ctx, &list, client.InNamespace(Namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		d := &list.Items[i]
		if err := c.machines(ctx, d.Name, d.Spec.Template.Labels, d.Spec.Template.Spec.InfrastructureRef, int(*d.Spec.Replicas)); err != nil {
			return err
		}
		n := d.Spec.Replicas
		d.Status.Replicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas, d.Status.UpToDateReplicas = n, n, n, n
		d.Status.ObservedGeneration = d.Generation
		d.Status.Conditions = []metav1.Condition{condition("Available", metav1.ConditionTrue, "Available"), condition("RollingOut", metav1.ConditionFalse, "NotRollingOut")}
		if err := c.Status().Update(ctx, d); err != nil {
			return fmt.Errorf("writing the status of pool %s: %w", d.Name, err)
		}
	}
	return nil
}

func condition(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.Now()}
}

// machines makes and removes the machines and nodes of one pool.
func (c *Cluster) machines(ctx context.Context, pool string, labels map[string]string, template clusterv1.ContractVersionedObjectReference, want int) error {
	var list clusterv1.MachineList
	if err := c.List(ctx, &list, client.InNamespace(Namespace), client.MatchingLabels(labels)); err != nil {
		return err
	}
	for i := want; i < len(list.Items); i++ {
		m := &list.Items[i]
		if err := c.Delete(ctx, m); err != nil {
			return err
		}
		if err := client.IgnoreNotFound(c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.Name}})); err != nil {
			return err
		}
	}
	for i := len(list.Items); i < want; i++ {
		if err := c.machine(ctx, fmt.Sprintf("%s-%d", pool, i+1), labels, template); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) machine(ctx context.Context, name string, labels map[string]string, template clusterv1.ContractVersionedObjectReference) error {
	m := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: labels}}
	m.Spec = clusterv1.MachineSpec{ClusterName: Name, Version: version, ProviderID: "vsphere://" + name,
		InfrastructureRef: reference(template.APIGroup, "VSphereMachine", name), Bootstrap: clusterv1.Bootstrap{DataSecretName: new(name)}}
	if err := c.Create(ctx, m); err != nil {
		return fmt.Errorf("making machine %s: %w", name, err)
	}
	m.Status.Phase = string(clusterv1.MachinePhaseRunning)
	m.Status.NodeRef = clusterv1.MachineNodeReference{Name: name}
	m.Status.Addresses = clusterv1.MachineAddresses{{Type: clusterv1.MachineInternalIP, Address: "10.20.0.21"}}
	if _, ok := labels[clusterv1.MachineControlPlaneLabel]; ok {
		m.Status.CertificatesExpiryDate = metav1.NewTime(time.Now().Add(364 * 24 * time.Hour))
	}
	if err := c.Status().Update(ctx, m); err != nil {
		return fmt.Errorf("writing the status of machine %s: %w", name, err)
	}
	return c.node(ctx, name)
}

func (c *Cluster) node(ctx context.Context, name string) error {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Create(ctx, n); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	n.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status", LastTransitionTime: metav1.Now()},
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", LastTransitionTime: metav1.Now()},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", LastTransitionTime: metav1.Now()},
	}
	n.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: version, OSImage: "Debian GNU/Linux 12 (bookworm)", KernelVersion: "6.1.0-18-amd64", ContainerRuntimeVersion: "containerd://2.3.5"}
	if err := c.Status().Update(ctx, n); err != nil {
		return fmt.Errorf("writing the status of node %s: %w", name, err)
	}
	return c.Heartbeat(ctx, name, time.Now())
}

// beatEvery is how often a kubelet renews its node's lease.
const beatEvery = 10 * time.Second

// Beat renews the leases of all nodes until ctx is done, as kubelets do: for
// tests that take longer than a node may be silent. What fails is tried again.
func (c *Cluster) Beat(ctx context.Context) {
	for ctx.Err() == nil {
		var nodes corev1.NodeList
		_ = c.List(ctx, &nodes)
		for _, n := range nodes.Items {
			_ = c.Heartbeat(ctx, n.Name, time.Now())
		}
		select {
		case <-time.After(beatEvery):
		case <-ctx.Done():
		}
	}
}

// Heartbeat renews the lease of a node, as its kubelet does.
func (c *Cluster) Heartbeat(ctx context.Context, node string, at time.Time) error {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: node, Namespace: corev1.NamespaceNodeLease}}
	err := c.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	lease.Spec.RenewTime = new(metav1.NewMicroTime(at))
	if apierrors.IsNotFound(err) {
		return c.Create(ctx, lease)
	}
	if err != nil {
		return err
	}
	return c.Update(ctx, lease)
}
