package enterprise

import "context"

// Installation makes the enterprise cluster from the host on which the console
// runs. The command line gives the console one; in the cluster there is none.
type Installation interface {
	// Site returns the description of the site that was last given, or an
	// example to begin with.
	Site(ctx context.Context) (text string, err error)
	// Preflight looks whether the site and its surroundings fit. It changes
	// nothing. A description that cannot be read is an error.
	Preflight(ctx context.Context, site string) ([]Check, error)
	// Start begins the installation, or resumes one, and returns at once.
	Start(ctx context.Context, site string) error
	// Progress returns how far it came.
	Progress(ctx context.Context) (Progress, error)
}

// Check is one line of the preflight's table.
type Check struct {
	Name     string
	Status   Status
	Evidence string
	Remedy   string
}

// Progress is how far an installation came.
type Progress struct {
	State State
	Steps []Step
	Log   []string // the last lines
	Error string   // why it stopped
}

// State is that of an installation.
type State string

// The states of an installation.
const (
	NotStarted State = ""
	Running    State = "running"
	Stopped    State = "stopped"
	Done       State = "done"
)

// Step is one step of an installation.
type Step struct {
	Name   string
	Status Status
}
