// Package vcentertest helps tests that need a vCenter: it starts one, and has
// a runtime that boots nothing but writes down what it was asked for.
package vcentertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/vcenter"
)

// Start starts a vCenter that ends with the test.
func Start(t testing.TB, options vcenter.Options) *vcenter.VCenter {
	t.Helper()
	v, err := vcenter.Start(context.Background(), options)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

// Recorder is a runtime without machines. Its guests have one address a card,
// counted upwards from 192.0.2.1 in the order of their first start.
type Recorder struct {
	mu      sync.Mutex
	calls   []string
	specs   map[string]vcenter.Spec
	running map[string]bool
	given   map[string]string // address by MAC
	fail    error
}

var _ vcenter.Runtime = (*Recorder)(nil)

// NewRecorder returns a recorder that has seen nothing.
func NewRecorder() *Recorder {
	return &Recorder{specs: map[string]vcenter.Spec{}, running: map[string]bool{}, given: map[string]string{}}
}

// Start notes the specification.
func (r *Recorder) Start(_ context.Context, spec vcenter.Spec) error {
	return r.boot("start", spec)
}

// Reset notes the specification.
func (r *Recorder) Reset(_ context.Context, spec vcenter.Spec) error {
	return r.boot("reset", spec)
}

func (r *Recorder) boot(call string, spec vcenter.Spec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call+" "+spec.Name)
	if r.fail != nil {
		return r.fail
	}
	r.specs[spec.ID], r.running[spec.ID] = spec, true
	for _, card := range spec.Cards {
		if r.given[card.MAC] == "" {
			r.given[card.MAC] = fmt.Sprintf("192.0.2.%d/24", len(r.given)+1)
		}
	}
	return nil
}

// Stop notes whether the guest was asked first.
func (r *Recorder) Stop(_ context.Context, id string, grace time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	call := "stop "
	if grace > 0 {
		call = "shut down "
	}
	r.calls = append(r.calls, call+r.specs[id].Name)
	r.running[id] = false
	return nil
}

// Destroy forgets the machine.
func (r *Recorder) Destroy(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "destroy "+r.specs[id].Name)
	delete(r.specs, id)
	delete(r.running, id)
	return nil
}

// Addresses returns the addresses of a machine that runs.
func (r *Recorder) Addresses(_ context.Context, id string) ([]vcenter.Address, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running[id] {
		return nil, vcenter.ErrEnded
	}
	var list []vcenter.Address
	for _, card := range r.specs[id].Cards {
		list = append(list, vcenter.Address{MAC: card.MAC, IPs: []string{r.given[card.MAC]}})
	}
	return list, nil
}

// Calls returns what was asked for, in order, as "start NAME" and so on.
func (r *Recorder) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Spec returns the last specification of the machine of that name.
func (r *Recorder) Spec(name string) (vcenter.Spec, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.specs {
		if s.Name == name {
			return s, true
		}
	}
	return vcenter.Spec{}, false
}

// Running returns how many machines run.
func (r *Recorder) Running() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, on := range r.running {
		if on {
			n++
		}
	}
	return n
}

// End lets the guest of a machine end by itself.
func (r *Recorder) End(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.specs {
		if s.Name == name {
			r.running[id] = false
		}
	}
}

// FailWith lets machines fail to boot with an error, or boot again with nil.
func (r *Recorder) FailWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}
