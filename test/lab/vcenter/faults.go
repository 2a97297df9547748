package vcenter

import (
	"path"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Fault is a rule that makes calls slow or lets them fail. The first rule that
// fits a call is applied to it. A rule for a method that returns a task lets
// the task fail, as a vCenter does; AtCall lets the call itself fail.
type Fault struct {
	Method string                // such as CloneVM_Task; empty: any
	Object string                // name of the object, or of what the call would make, as in path.Match; empty: any
	Skip   int                   // so many calls that fit pass first
	Times  int                   // so many calls fail; 0: all of them
	Delay  time.Duration         // before anything is done
	Err    types.BaseMethodFault // what the call ends with; nil: it is only slow
	AtCall bool                  // the call fails, not its task
	Late   bool                  // the work is done all the same, then reported as failed
}

type faults struct {
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	Fault
	fitted int
}

// Inject adds rules.
func (v *VCenter) Inject(list ...Fault) {
	v.faults.mu.Lock()
	defer v.faults.mu.Unlock()
	for _, f := range list {
		v.faults.rules = append(v.faults.rules, &rule{Fault: f})
	}
}

// ClearFaults takes all rules away.
func (v *VCenter) ClearFaults() {
	v.faults.mu.Lock()
	defer v.faults.mu.Unlock()
	v.faults.rules = nil
}

// take returns the rule for a call, and counts the call.
func (f *faults) take(method string, names []string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if !r.fits(method, names) {
			continue
		}
		if r.Times > 0 && r.fitted >= r.Skip+r.Times {
			continue
		}
		r.fitted++
		if r.fitted <= r.Skip {
			continue
		}
		fault := r.Fault
		return &fault
	}
	return nil
}

func (r *rule) fits(method string, names []string) bool {
	if r.Method != "" && r.Method != method {
		return false
	}
	if r.Object == "" {
		return true
	}
	for _, name := range names {
		if ok, err := path.Match(r.Object, name); err == nil && ok {
			return true
		}
	}
	return false
}
