// Package startup lets a program start without collecting garbage and without
// asking the terminal anything: import it from main, and call Done there first.
//
// The libraries of a large program allocate some 20 MB before main begins, most
// of it to stay. The collector looks through it seven times: a quarter of the
// processor time of a short command. The sooner in the order of initialization
// a package stands, the more it spares; this one needs nothing but the standard
// library.
package startup

import (
	"os"
	"runtime/debug"
	"time"
)

const (
	// percent puts the first collection off until 32 MB are allocated: the least
	// heap is 4 MB for 100 %.
	percent = 800
	// lasts is longer than initialization takes; what runs on is collected as usual.
	lasts = 100 * time.Millisecond
)

// A library for forms asks the terminal for its colors before main begins, on
// standard output and whatever the command is, and waits five seconds where
// there is no answer, as on a serial line. It asks nothing where there is a CI.
const (
	noQuestions = "CI"
	marker      = "starting"
)

func init() { //nolint:gochecknoinits // what runs before main can begin nowhere else
	if _, set := os.LookupEnv(noQuestions); !set {
		_ = os.Setenv(noQuestions, marker) // it fails for malformed names only
	}
	usual := debug.SetGCPercent(percent)
	time.AfterFunc(lasts, func() {
		if now := debug.SetGCPercent(usual); now != percent {
			debug.SetGCPercent(now) // main has chosen already
		}
	})
}

// Done makes the environment what it was.
func Done() {
	if os.Getenv(noQuestions) == marker {
		_ = os.Unsetenv(noQuestions)
	}
}
