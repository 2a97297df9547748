// Package status says how an installation stands. It asks the site itself -
// registry, vCenter, the control plane on this host, the cluster - and changes
// nothing. It needs no bundle: the versions are those that the cluster has.
package status

import (
	"time"

	"github.com/sealift/sealift/installer/clusterapi"
)

// Phase is how far an installation has come.
type Phase string

// The phases.
const (
	NotKnown     Phase = "unknown"       // nothing of it is on this host, and vCenter could not be asked
	NotInstalled Phase = "not installed" // nothing of it is there
	Elsewhere    Phase = "elsewhere"     // its machines are there, and nothing of its installation is on this host
	Interrupted  Phase = "interrupted"   // an installation was begun, and none runs now
	Installing   Phase = "installing"    // the control plane on this host manages the cluster
	Installed    Phase = "installed"     // the cluster manages itself
	Unreachable  Phase = "unreachable"   // it was installed and does not answer
)

// Report is how a site stands.
type Report struct {
	Site    string `json:"site"`
	Cluster string `json:"cluster"`
	Phase   Phase  `json:"phase"`
	// Source is which control plane the objects below were read from.
	Source Place `json:"source,omitempty"`
	Well   bool  `json:"well"`
	// Problems are what is not as it should be, in words; none when all is well.
	Problems []string `json:"problems,omitempty"`

	Steps        []Step        `json:"steps"`
	Versions     []Version     `json:"versions,omitempty"`
	Objects      []Object      `json:"objects,omitempty"` // Cluster, control plane, pools, machines
	Nodes        []Node        `json:"nodes,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
}

// Step is a part of an installation, and whether it is done.
type Step struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// State is how a step stands.
type State string

// The states.
const (
	Done    State = "done"
	Open    State = "open"
	Unknown State = "unknown" // what could tell does not answer
)

// Version is what of something is installed.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Object is one of Cluster API's objects.
type Object struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Phase   string `json:"phase,omitempty"`
	Ready   int    `json:"ready"` // of those it stands for; a machine stands for itself
	Want    int    `json:"want"`
	Version string `json:"version,omitempty"`
	// Conditions are all of them; those of Troubles are not as they should be.
	Conditions []clusterapi.Condition `json:"conditions,omitempty"`
	Troubles   []string               `json:"troubles,omitempty"`
}

// Node is a node of the cluster.
type Node struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"` // why it is not ready
	Version string `json:"version"`           // of its kubelet
	Address string `json:"address,omitempty"`
}

// Certificate is one whose end somebody has to know.
type Certificate struct {
	Of      string    `json:"of"`
	Expires time.Time `json:"expires"`
}
