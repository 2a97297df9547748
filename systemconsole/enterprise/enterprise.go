// Package enterprise is the enterprise cluster as its administrators see it:
// what it is made of, how it is, and what they may change.
//
// Everything is read from and written to Cluster API objects. A pool is a
// group of like machines: the control plane (one KubeadmControlPlane) or a pool
// of workers (a MachineDeployment). Desired is what the objects ask for; the
// controllers bring the machines there, and this package only watches. A
// machine is never changed: another size or version replaces it by a new one,
// pool by pool, node by node (a rolling replacement).
//
// Before there is a cluster, Installation leads to one.
package enterprise

import (
	"context"
	"errors"
	"time"
)

// The errors of a change that was refused; nothing was changed.
var (
	ErrNotFound = errors.New("not found")
	ErrQuorum   = errors.New("etcd would lose its quorum")
	ErrBusy     = errors.New("another change is under way")
	ErrInvalid  = errors.New("not possible")
)

// Health says how something is. The values are those that pages have marks for.
type Health string

// The healths, from best to worst but for Unknown.
const (
	Good    Health = "good"
	Busy    Health = "busy"
	Warn    Health = "warn"
	Bad     Health = "bad"
	Unknown Health = ""
)

// Status is a health and the words for it.
type Status struct {
	State Health `json:"state"`
	Text  string `json:"text"`
}

// Viewer shows the cluster.
type Viewer interface {
	// Overview returns the cluster as it is now.
	Overview(ctx context.Context) (*Overview, error)
	// Events returns the last events, the newest first, at most 1,000.
	Events(ctx context.Context) ([]Event, error)
}

// Scaler changes the number of machines.
type Scaler interface {
	// Scale sets the machines of a pool. A control plane has 1, 3 or 5, and
	// is refused with ErrQuorum what would leave etcd without a majority.
	Scale(ctx context.Context, pool string, machines int) error
}

// Pools adds, removes and replaces pools of workers.
type Pools interface {
	AddPool(ctx context.Context, p NewPool) error
	// RemovePool removes a pool with all its machines.
	RemovePool(ctx context.Context, name string) error
	// Resize replaces the machines of a pool, one after the other, by those of
	// another size.
	Resize(ctx context.Context, pool string, size Size) error
}

// Cluster is all of it.
type Cluster interface {
	Viewer
	Scaler
	Pools
}

// Source is a cluster that pages read again and again.
type Source interface {
	Cluster
	// Watched is Overview but for the machines and nodes, which are those of a
	// moment ago: they were watched, not read.
	Watched(ctx context.Context) (*Overview, error)
}

// Overview is the cluster at one moment.
type Overview struct {
	Name         string        `json:"name"`
	Version      string        `json:"version"` // of Kubernetes, as the control plane asks for
	Endpoint     string        `json:"endpoint"`
	Created      time.Time     `json:"created"`
	Status       Status        `json:"status"`
	Pools        []Pool        `json:"pools"` // the control plane first
	Conditions   []Condition   `json:"conditions"`
	Certificates []Certificate `json:"certificates"` // the first to expire first
}

// Pool is a group of like machines.
type Pool struct {
	Name         string      `json:"name"`
	ControlPlane bool        `json:"controlPlane"`
	Version      string      `json:"version"`
	Size         Size        `json:"size"`
	Desired      int         `json:"desired"`
	Present      int         `json:"present"`
	Ready        int         `json:"ready"`
	UpToDate     int         `json:"upToDate"`
	Current      int         `json:"current"`            // up to date, and their nodes are ready
	Pending      bool        `json:"pending,omitempty"`  // what was asked for last has not been looked at yet
	Removing     bool        `json:"removing,omitempty"` // the pool is being removed
	Status       Status      `json:"status"`
	Replacing    string      `json:"replacing,omitempty"` // why machines are being replaced, or nothing
	Nodes        []Node      `json:"nodes"`
	Conditions   []Condition `json:"conditions"`
}

// Settled means: the pool is what it should be.
func (p Pool) Settled() bool {
	return !p.Changing() && p.Ready == p.Desired
}

// Changing means: machines of the pool are made, replaced or removed.
func (p Pool) Changing() bool {
	return p.Pending || p.Removing || p.Replacing != "" || p.Present != p.Desired || p.UpToDate != p.Desired
}

// Size is what one machine has. A zero field is not known, or left as it is.
type Size struct {
	CPUs      int `json:"cpus"`
	MemoryMiB int `json:"memoryMiB"`
	DiskGiB   int `json:"diskGiB"`
}

// NewPool is a pool to be made, after the example of the pools that exist.
type NewPool struct {
	Name     string `json:"name"`
	Machines int    `json:"machines"`
	Size     Size   `json:"size"`
}

// Node is a machine and, once it has joined, the node that it became.
type Node struct {
	Name       string      `json:"name"` // of the node, or of the machine as long as it has not joined
	Machine    string      `json:"machine"`
	Pool       string      `json:"pool"`
	Status     Status      `json:"status"`
	Version    string      `json:"version"`
	Phase      string      `json:"phase"`
	Addresses  []string    `json:"addresses"`
	System     string      `json:"system"`
	Kernel     string      `json:"kernel"`
	Runtime    string      `json:"runtime"`
	ProviderID string      `json:"providerID"`
	Heartbeat  time.Time   `json:"heartbeat"` // when the kubelet last renewed its lease
	Created    time.Time   `json:"created"`
	Conditions []Condition `json:"conditions"`
}

// Condition is one of an object's conditions.
type Condition struct {
	Type    string    `json:"type"`
	Status  Status    `json:"status"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// Event is what a component of the cluster said.
type Event struct {
	State   Health    `json:"state"`
	When    time.Time `json:"when"`
	Reason  string    `json:"reason"`
	Object  string    `json:"object"`
	Message string    `json:"message"`
	Count   int       `json:"count"`
}

// Certificate is one that the cluster depends on.
type Certificate struct {
	Name    string    `json:"name"`
	Holder  string    `json:"holder"` // the Secret or machine that it is in
	Expires time.Time `json:"expires"`
	Status  Status    `json:"status"`
}

// Thresholds are when something begins to need attention. A zero field is the
// default that its comment names.
type Thresholds struct {
	Heartbeat       time.Duration // a node is bad without a heartbeat for so long: 40 s
	CertificateWarn time.Duration // a certificate needs attention: 30 days before
	CertificateBad  time.Duration // and urgently: 7 days before
}

func (t Thresholds) withDefaults() Thresholds {
	if t.Heartbeat == 0 {
		t.Heartbeat = 40 * time.Second
	}
	if t.CertificateWarn == 0 {
		t.CertificateWarn = 30 * 24 * time.Hour
	}
	if t.CertificateBad == 0 {
		t.CertificateBad = 7 * 24 * time.Hour
	}
	return t
}
