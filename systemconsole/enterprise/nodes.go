package enterprise

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// readNodes reads the nodes, and the leases that their kubelets renew every
// ten seconds: a node's conditions alone stay true for minutes after its end.
func (l *Live) readNodes(ctx context.Context, many lister, o *objects) error {
	var nodes corev1.NodeList
	if err := many.List(ctx, &nodes); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	var leases coordinationv1.LeaseList
	if err := l.client.List(ctx, &leases, client.InNamespace(corev1.NamespaceNodeLease)); err != nil {
		return fmt.Errorf("listing heartbeats of nodes: %w", err)
	}
	o.nodes = map[string]corev1.Node{}
	o.heartbeats = map[string]time.Time{}
	for _, n := range nodes.Items {
		o.nodes[n.Name] = n
	}
	for _, lease := range leases.Items {
		if lease.Spec.RenewTime != nil {
			o.heartbeats[lease.Name] = lease.Spec.RenewTime.Time
		}
	}
	return nil
}

func (l *Live) node(o *objects, m *clusterv1.Machine, pool string) Node {
	n := Node{
		Name: m.Name, Machine: m.Name, Pool: pool, Version: m.Spec.Version, Phase: m.Status.Phase,
		ProviderID: m.Spec.ProviderID, Created: m.CreationTimestamp.Time, Conditions: conditionsOf(m.Status.Conditions),
	}
	for _, a := range m.Status.Addresses {
		n.Addresses = append(n.Addresses, a.Address)
	}
	node, ok := o.nodes[m.Status.NodeRef.Name]
	if !ok {
		n.Status = machineStatus(m)
		return n
	}
	info := node.Status.NodeInfo
	n.Name, n.Version, n.System = node.Name, info.KubeletVersion, info.OSImage
	n.Kernel, n.Runtime = info.KernelVersion, info.ContainerRuntimeVersion
	n.Heartbeat = o.heartbeats[node.Name]
	n.Conditions = nodeConditions(node.Status.Conditions)
	n.Status = l.nodeStatus(&node, n.Heartbeat)
	if !m.DeletionTimestamp.IsZero() {
		n.Status = Status{Busy, "Being removed"}
	}
	return n
}

// machineStatus is that of a machine which is no node yet.
func machineStatus(m *clusterv1.Machine) Status {
	switch {
	case !m.DeletionTimestamp.IsZero():
		return Status{Busy, "Being removed"}
	case m.Status.Phase == "":
		return Status{Busy, "Pending"}
	default:
		return Status{Busy, m.Status.Phase}
	}
}

func (l *Live) nodeStatus(n *corev1.Node, heartbeat time.Time) Status {
	if !heartbeat.IsZero() && time.Since(heartbeat) > l.thresholds.Heartbeat {
		return Status{Bad, "No heartbeat since " + humanize.RelTime(heartbeat, time.Now(), "", "")}
	}
	var ready corev1.NodeCondition
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = c
		} else if c.Status == corev1.ConditionTrue {
			return Status{Warn, string(c.Type)}
		}
	}
	switch {
	case ready.Status != corev1.ConditionTrue && joining(n, ready):
		return Status{Busy, "Joining"}
	case ready.Status != corev1.ConditionTrue:
		return Status{Bad, "Not ready"}
	case n.Spec.Unschedulable:
		return Status{Warn, "Cordoned"}
	default:
		return Status{Good, "Ready"}
	}
}

// joining tells whether a node may still be on its way to be ready for the
// first time: the pods of its network come first. Its condition has not changed
// since it was made, but for clocks that differ.
func joining(n *corev1.Node, ready corev1.NodeCondition) bool {
	made := n.CreationTimestamp.Time
	return time.Since(made) < 5*time.Minute && ready.LastTransitionTime.Time.Before(made.Add(time.Minute))
}

func nodeConditions(conditions []corev1.NodeCondition) []Condition {
	out := make([]Condition, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, Condition{
			Type: string(c.Type), Status: judge(string(c.Type), string(c.Status)), Reason: c.Reason, Message: c.Message, Since: c.LastTransitionTime.Time,
		})
	}
	return out
}
