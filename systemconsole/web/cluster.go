package web

import (
	"slices"

	"github.com/sealift/sealift/systemconsole/enterprise"
)

// glance is how many nodes of a pool are shown where the page is of something
// else.
const glance = 12

// atAGlance returns a few nodes of a pool: those that are not well before others.
func atAGlance(all []enterprise.Node) []enterprise.Node {
	if len(all) <= glance {
		return all
	}
	var out []enterprise.Node
	for _, well := range []bool{false, true} {
		for i := 0; i < len(all) && len(out) < glance; i++ {
			if (all[i].Status.State == enterprise.Good) == well {
				out = append(out, all[i])
			}
		}
	}
	return slices.Clip(out)
}

// ClusterPage is the enterprise cluster at a glance.
type ClusterPage struct {
	Frame
	Tabs     []Tab
	May      bool // change it
	Overview *enterprise.Overview
}

// Template names the template.
func (ClusterPage) Template() string { return "cluster" }

// NodesPage lists nodes, a page of those that were asked for.
type NodesPage struct {
	Frame
	Tabs         []Tab
	Nodes        []*enterprise.Node
	Filter, Only string // what was asked for
	Pages        Pages
}

// Template names the template.
func (NodesPage) Template() string { return "nodes" }

// NodePage is one node.
type NodePage struct {
	Frame
	Node enterprise.Node
}

// Template names the template.
func (NodePage) Template() string { return "node" }

// PoolPage is one pool and what can be done with it.
type PoolPage struct {
	Frame
	May      bool
	Pool     enterprise.Pool
	Nodes    []enterprise.Node // of the pool, a page of them
	Pages    Pages
	Choices  []Choice // how many machines a control plane may have
	Machines string   // as it was entered
	Sizes    []Choice
}

// Template names the template.
func (PoolPage) Template() string { return "pool" }

// Choice is one of a few that are shown at once.
type Choice struct {
	Value, Text, Note string
	Checked, Disabled bool
}

// NewPoolPage asks for a pool to be made.
type NewPoolPage struct {
	Frame
	Name, Machines string
	Sizes          []Choice
}

// Template names the template.
func (NewPoolPage) Template() string { return "pool-new" }

// ConfirmPage asks once more before something is lost. It is a page, and a
// dialog where there is JavaScript.
type ConfirmPage struct {
	Frame
	Question string
	Detail   []string // what will happen
	Action   string   // where the form goes
	Button   string
	Back     string
	Expect   string // text to be typed, or nothing
}

// Template names the template.
func (ConfirmPage) Template() string { return "confirm" }

// EventsPage lists the cluster's last events.
type EventsPage struct {
	Frame
	Tabs   []Tab
	Filter string
	Only   string // "warnings", or all
	Events []enterprise.Event
	Total  int
	Pages  Pages
}

// Template names the template.
func (EventsPage) Template() string { return "events" }

// CertificatesPage lists what expires.
type CertificatesPage struct {
	Frame
	Tabs         []Tab
	Certificates []enterprise.Certificate
}

// Template names the template.
func (CertificatesPage) Template() string { return "certificates" }

// InstallPage leads to the enterprise cluster.
type InstallPage struct {
	Frame
	May      bool
	Possible bool // the console has been given a way to install
	Site     string
	Checks   []enterprise.Check // nil before the preflight
	Ready    bool               // no check failed
	Progress enterprise.Progress
}

// Template names the template.
func (InstallPage) Template() string { return "install" }

// Step is the step that the page is at: 1 describe, 2 check, 3 install.
func (p InstallPage) Step() int {
	switch {
	case p.Progress.State != enterprise.NotStarted:
		return 3
	case p.Checks != nil:
		return 2
	default:
		return 1
	}
}
