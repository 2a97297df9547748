package enterprise

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// rollingOut is the condition of both kinds of pools that says why machines
// are being replaced.
const rollingOut = "RollingOut"

// difference says plainly what sets machines apart from their pool, which
// Cluster API has words of its own for.
func difference(words string) string {
	return strings.NewReplacer(
		"VSphereMachine is not up-to-date", "another size or template is asked for",
		"KubeadmConfig is not up-to-date", "another configuration of the nodes is asked for").Replace(words)
}

func (l *Live) controlPlane(o *objects) Pool {
	k := &o.controlPlane
	p := Pool{
		Name: k.Name, ControlPlane: true, Version: k.Spec.Version, Desired: number(k.Spec.Replicas),
		Present: number(k.Status.Replicas), Ready: number(k.Status.ReadyReplicas), UpToDate: number(k.Status.UpToDateReplicas),
		Pending: k.Status.ObservedGeneration < k.Generation, Removing: !k.DeletionTimestamp.IsZero(),
		Replacing: replacing(k.Status.Conditions), Conditions: conditionsOf(k.Status.Conditions),
	}
	for i := range o.machines.Items {
		m := &o.machines.Items[i]
		if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok {
			p.add(l.node(o, m, p.Name), m)
		}
	}
	return p.judged()
}

func (l *Live) workers(o *objects, d *clusterv1.MachineDeployment) Pool {
	p := Pool{
		Name: d.Name, Version: d.Spec.Template.Spec.Version, Desired: number(d.Spec.Replicas),
		Present: number(d.Status.Replicas), Ready: number(d.Status.ReadyReplicas), UpToDate: number(d.Status.UpToDateReplicas),
		Pending: d.Status.ObservedGeneration < d.Generation, Removing: !d.DeletionTimestamp.IsZero(),
		Replacing: replacing(d.Status.Conditions), Conditions: conditionsOf(d.Status.Conditions),
	}
	for i := range o.machines.Items {
		if m := &o.machines.Items[i]; m.Labels[clusterv1.MachineDeploymentNameLabel] == d.Name {
			p.add(l.node(o, m, p.Name), m)
		}
	}
	return p.judged()
}

// add adds a machine as the node that it is or will be.
func (p *Pool) add(n Node, m *clusterv1.Machine) {
	p.Nodes = append(p.Nodes, n)
	if n.Status.State == Good && !meta.IsStatusConditionFalse(m.Status.Conditions, clusterv1.MachineUpToDateCondition) {
		p.Current++
	}
}

// judged sorts the nodes and says how the pool is.
func (p Pool) judged() Pool {
	slices.SortFunc(p.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	bad := 0
	for _, n := range p.Nodes {
		if n.Status.State == Bad {
			bad++
		}
	}
	switch {
	case p.Removing:
		p.Status = Status{Busy, "Being removed"}
	case bad > 0 && p.ControlPlane && (len(p.Nodes)-bad) <= len(p.Nodes)/2:
		p.Status = Status{Bad, fmt.Sprintf("%d of %d nodes have failed; etcd has no majority", bad, len(p.Nodes))}
	case bad > 0:
		p.Status = Status{Warn, fmt.Sprintf("%d of %d nodes need attention", bad, len(p.Nodes))}
	case p.Replacing != "":
		p.Status = Status{Busy, fmt.Sprintf("Replacing machines: %d of %d done", p.Current, p.Desired)}
	case p.Present != p.Desired:
		p.Status = Status{Busy, fmt.Sprintf("Scaling: %d of %d machines", p.Present, p.Desired)}
	case p.Pending:
		p.Status = Status{Busy, "About to change"}
	case !p.Settled():
		p.Status = Status{Busy, fmt.Sprintf("%d of %d ready", p.Ready, p.Desired)}
	default:
		p.Status = Status{Good, "Healthy"}
	}
	return p
}

// replacing returns why machines are being replaced, or nothing. Cluster API
// lists the differences below a line that counts the machines.
func replacing(conditions []metav1.Condition) string {
	c := meta.FindStatusCondition(conditions, rollingOut)
	if c == nil || c.Status != metav1.ConditionTrue {
		return ""
	}
	count, list, _ := strings.Cut(c.Message, "\n")
	list = strings.ReplaceAll(strings.TrimPrefix(list, "* "), "\n* ", "; ")
	return difference(cmp.Or(list, count, c.Reason))
}

func conditionsOf(conditions []metav1.Condition) []Condition {
	out := make([]Condition, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, Condition{
			Type: c.Type, Status: judge(c.Type, string(c.Status)), Reason: c.Reason, Message: c.Message, Since: c.LastTransitionTime.Time,
		})
	}
	return out
}

// judge says whether a condition's value is how it should be. Most conditions
// should be true; these say, when true, that something is going on or wrong.
func judge(kind, value string) Status {
	wanted := "True"
	state := Bad
	switch {
	case slices.Contains([]string{"ScalingUp", "ScalingDown", rollingOut, "Remediating", "Deleting", "Updating"}, kind):
		wanted, state = "False", Busy
	case kind == "Paused" || strings.HasSuffix(kind, "Pressure") || kind == "NetworkUnavailable":
		wanted = "False"
	}
	switch value {
	case wanted:
		return Status{Good, value}
	case "Unknown":
		return Status{Warn, value}
	default:
		return Status{state, value}
	}
}

func number(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}
