package upgrade

import (
	"slices"
	"time"
)

// Plan is what an upgrade would change.
type Plan struct {
	Cluster  string          `json:"cluster"`
	Release  string          `json:"release"` // name and version
	Versions []VersionChange `json:"versions"`
	Images   []string        `json:"images,omitempty"`   // that the registry does not have yet
	Objects  []ObjectChange  `json:"objects,omitempty"`  // of the cluster and the addons
	Machines []string        `json:"machines,omitempty"` // that are replaced, in order
	Values   []Setting       `json:"values,omitempty"`   // that differ in any of the three states
	Warnings []string        `json:"warnings,omitempty"`
	// Filled says that the bundle is read from the registry itself: what the
	// registry lacks cannot be sent, and is in the way.
	Filled bool `json:"filled,omitempty"`
}

// VersionChange is a version before and after; the same when it stays.
type VersionChange struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"` // "" for what is new
	To   string `json:"to"`
}

// ObjectChange is what an apply would do to an object.
type ObjectChange struct {
	Object string `json:"object"` // Kind namespace/name
	New    bool   `json:"new,omitempty"`
	// Diff is a unified diff of the YAML, without status and with no secret's
	// content; "" for a new object.
	Diff string `json:"diff,omitempty"`
}

// Changes tells whether there is anything to do.
func (p *Plan) Changes() bool {
	return len(p.Images)+len(p.Objects)+len(p.Machines) > 0 ||
		slices.ContainsFunc(p.Versions, func(v VersionChange) bool { return v.From != v.To }) ||
		slices.ContainsFunc(p.Values, func(s Setting) bool { return s.Live != s.After && s.Outcome != Kept })
}

// Missing are the images that keep the upgrade from starting.
func (p *Plan) Missing() []string {
	if p.Filled {
		return p.Images
	}
	return nil
}

// Bundle is one that an upgrade can be made of.
type Bundle struct {
	ID        string `json:"id"` // by which it is asked for
	Name      string `json:"name"`
	Version   string `json:"version"`
	Statement string `json:"statement"` // digest that identifies it
	From      string `json:"from"`      // where it is read: a file's name or a registry
}

// Component is one part of what is installed.
type Component struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`              // such as image, provider, addon, chart, file
	Version string `json:"version,omitempty"` // of the component itself
	Digest  string `json:"digest"`            // of the manifest in the bundle
}

// Installed is what the last installation or upgrade brought.
type Installed struct {
	Release    string      `json:"release"` // name and version
	Bundle     Bundle      `json:"bundle"`
	Key        string      `json:"key"`      // fingerprint of the key that the bundle is signed with
	Verified   time.Time   `json:"verified"` // when its signature was checked
	Components []Component `json:"components"`
}

// Registry is the one that an installation takes everything from, with the login
// that it has there. It is for use, never for showing.
type Registry struct {
	Endpoint, Prefix   string
	Username, Password string // empty where the registry asks for none
	CA                 string // PEM; empty means what the system trusts
	Key                string // PEM of the key that bundles are signed with
}

// State is how far a step is.
type State string

// The states of a step.
const (
	Waiting State = ""
	Running State = "running"
	Before  State = "before" // it was done before this run
	Done    State = "done"
	Failed  State = "failed"
)

// Observer is told how a run goes. Its methods may be called from several
// goroutines.
type Observer interface {
	// Steps tells the names of all steps, before the first begins.
	Steps(names []string)
	// Step tells where step n stands, in words.
	Step(n int, state State, text string)
}
