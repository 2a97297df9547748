package support

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/installer/clusterapi"
)

// source is a control plane that is asked.
type source struct {
	*collection
	name string
	*clusterapi.Management
	err error // why it does not answer
}

// sources are the cluster and the control plane on this host, as far as they
// were made.
func (c *collection) sources() []source {
	var out []source
	if f := c.found; f.Cluster != nil || f.ClusterErr != nil {
		out = append(out, source{c, "cluster", f.Cluster, f.ClusterErr})
	}
	if f := c.found; f.Bootstrap != nil || f.BootstrapErr != nil {
		out = append(out, source{c, "bootstrap", f.Bootstrap, f.BootstrapErr})
	}
	return out
}

// public are keys of secrets whose values everybody may know.
func public(key string) bool {
	return slices.Contains([]string{"namespace", "ca.crt", "tls.crt", "format", "description", "expiration", "auth-extra-groups"}, key) ||
		strings.HasSuffix(key, "username") || strings.HasPrefix(key, "usage-")
}

// secrets lists the secrets without what is in them, and makes that known to
// the redactor: the same password may stand in a log. Helm's releases are
// secrets, too.
func (s source) secrets(ctx context.Context) error {
	if s.Management == nil {
		return s.err
	}
	list := &corev1.SecretList{}
	if err := s.List(ctx, list); err != nil {
		return err
	}
	var all, releases bytes.Buffer
	for _, secret := range list.Items {
		fmt.Fprintf(&all, "%s/%s %s:", secret.Namespace, secret.Name, secret.Type)
		for key, value := range secret.Data {
			fmt.Fprintf(&all, " %s (%d bytes)", key, len(value))
			// Texts of many lines are found by what they look like.
			if len(value) >= shortest && !bytes.ContainsRune(bytes.TrimSpace(value), '\n') && !public(key) && secret.Type != "helm.sh/release.v1" {
				s.file.redact.Tell(string(value))
			}
		}
		fmt.Fprintln(&all)
		if secret.Type == "helm.sh/release.v1" {
			fmt.Fprintf(&releases, "%s/%s revision %s: %s\n", secret.Namespace, secret.Labels["name"], secret.Labels["version"], secret.Labels["status"])
		}
	}
	return errors.Join(s.file.add(s.name+"/secrets.txt", all.Bytes(), false), s.file.add(s.name+"/helm.txt", releases.Bytes(), false))
}

// kinds are those whose objects are collected.
func kinds() []schema.GroupVersionKind {
	groups := map[schema.GroupVersion][]string{
		{Version: "v1"}:                                                {"Node", "Pod", "Namespace", "Service", "PersistentVolume", "PersistentVolumeClaim"},
		{Group: "apps", Version: "v1"}:                                 {"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"},
		{Group: "cluster.x-k8s.io", Version: "v1beta2"}:                {"Cluster", "MachineDeployment", "MachineSet", "Machine", "MachineHealthCheck"},
		{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2"}:   {"KubeadmControlPlane"},
		{Group: "bootstrap.cluster.x-k8s.io", Version: "v1beta2"}:      {"KubeadmConfig", "KubeadmConfigTemplate"},
		{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2"}: {"VSphereCluster", "VSphereMachine", "VSphereMachineTemplate", "VSphereVM"},
		{Group: "ipam.cluster.x-k8s.io", Version: "v1beta2"}:           {"IPAddress", "IPAddressClaim"},
		{Group: "clusterctl.cluster.x-k8s.io", Version: "v1alpha3"}:    {"Provider"},
	}
	var out []schema.GroupVersionKind
	for version, names := range groups {
		for _, name := range names {
			out = append(out, version.WithKind(name))
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupVersionKind) int { return cmp.Compare(a.Group+"/"+a.Kind, b.Group+"/"+b.Kind) })
	return out
}

// objects writes one file a kind.
func (s source) objects(ctx context.Context) error {
	if s.Management == nil {
		return s.err
	}
	for _, kind := range kinds() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		err := s.List(ctx, list)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			s.miss("%s/objects: %s: %v", s.name, kind.Kind, err)
			continue
		}
		var out bytes.Buffer
		for i := range list.Items {
			s.file.redact.Object(list.Items[i].Object)
			data, err := yaml.Marshal(list.Items[i].Object)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "---\n%s", data)
		}
		if err := s.file.add(s.name+"/objects/"+kind.Kind+".yaml", out.Bytes(), false); err != nil {
			return err
		}
	}
	return nil
}

// events writes the events, the oldest first.
func (s source) events(ctx context.Context) error {
	if s.Management == nil {
		return s.err
	}
	list := &corev1.EventList{}
	if err := s.List(ctx, list); err != nil {
		return err
	}
	when := func(e corev1.Event) time.Time {
		switch {
		case !e.LastTimestamp.IsZero():
			return e.LastTimestamp.Time
		case !e.EventTime.IsZero():
			return e.EventTime.Time
		default:
			return e.CreationTimestamp.Time
		}
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	var out bytes.Buffer
	for _, e := range list.Items {
		o := e.InvolvedObject
		fmt.Fprintf(&out, "%s %s %s %s/%s %s (%d): %s\n", when(e).UTC().Format(time.RFC3339), e.Type, o.Kind, o.Namespace, o.Name, e.Reason, max(e.Count, 1), e.Message)
	}
	return s.file.add(s.name+"/events.txt", out.Bytes(), false)
}

// How much of a container's log is collected.
const (
	logLines   = 5000
	logTimeout = 15 * time.Second
)

// logs writes the end of every container's log, and of the one before a restart.
func (s source) logs(ctx context.Context) error {
	if s.Management == nil {
		return s.err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	pods := &corev1.PodList{}
	if err := s.List(ctx, pods); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		for _, st := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			name := fmt.Sprintf("%s/logs/%s/%s/%s", s.name, pod.Namespace, pod.Name, st.Name)
			if err := s.log(ctx, clients, pod, st.Name, false, name+".log"); err != nil {
				return err
			}
			if st.RestartCount > 0 {
				if err := s.log(ctx, clients, pod, st.Name, true, name+".previous.log"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// log writes one log; one that cannot be had is noted.
func (s source) log(ctx context.Context, clients kubernetes.Interface, pod corev1.Pod, container string, previous bool, name string) error {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	stream, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container, Previous: previous,
		Timestamps: true, TailLines: new(int64(logLines))}).Stream(ctx)
	if err != nil {
		s.miss("%s: %v", name, err)
		return nil
	}
	defer stream.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(stream, maxEntry))
	if err != nil {
		s.miss("%s: %v", name, err)
	}
	if len(data) == maxEntry || err != nil { // the beginning of a secret is none that is known
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	return s.file.add(name, data, false)
}
