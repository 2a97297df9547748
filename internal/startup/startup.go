// Package startup lets a program start without collecting garbage: import it for
// its effect, from main.
//
// The libraries of a large program allocate some 20 MB before main begins, most
// of it to stay. The collector looks through it seven times: a quarter of the
// processor time of a short command. The sooner in the order of initialization
// a package stands, the more it spares; this one needs nothing but the standard
// library.
package startup

import (
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

func init() { //nolint:gochecknoinits // what runs before main can begin nowhere else
	usual := debug.SetGCPercent(percent)
	time.AfterFunc(lasts, func() {
		if now := debug.SetGCPercent(usual); now != percent {
			debug.SetGCPercent(now) // main has chosen already
		}
	})
}
