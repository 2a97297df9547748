// Package progress is how long work reports how far it is.
//
// The work knows only the small interfaces here; what becomes of a report (a
// live bar, a line in a log, nothing) is decided where the program is put
// together. All methods may be called from many goroutines at once.
package progress

import "io"

// Reporter receives the start of a piece of work.
type Reporter interface {
	// Start announces a phase of so many bytes in all and returns its Phase.
	// A total of 0 means that nothing has to move.
	Start(name string, total int64) Phase
	// Count announces a phase of so many items, whose bytes nobody knows. Each
	// Task of it counts as one when it is done, and Skip counts items.
	Count(name string, items int) Phase
}

// Phase is one stretch of work with a known number of bytes, or of items.
type Phase interface {
	// Task announces one item of the phase, of so many bytes.
	Task(name string, size int64) Task
	// Skip counts bytes of the phase that need not move (they are there already).
	Skip(n int64)
	// Done ends the phase. It is called once, whether the work succeeded or not.
	Done()
}

// Task is one item under way.
type Task interface {
	// Add counts n more bytes. A negative n takes back bytes that have to be
	// moved again after a retry.
	Add(n int64)
	// Done ends the task, finished or not.
	Done()
}

// None reports nothing. It is Reporter, Phase and Task.
type None struct{}

// Start implements Reporter.
func (None) Start(string, int64) Phase { return None{} }

// Count implements Reporter.
func (None) Count(string, int) Phase { return None{} }

// Task implements Phase.
func (None) Task(string, int64) Task { return None{} }

// Skip implements Phase.
func (None) Skip(int64) {}

// Add implements Task.
func (None) Add(int64) {}

// Done implements Phase and Task.
func (None) Done() {}

// OrNone returns r, or None if r is nil, so that a nil Reporter in options is
// a valid default.
func OrNone(r Reporter) Reporter {
	if r == nil {
		return None{}
	}
	return r
}

// Reader counts what is read through r on t.
func Reader(r io.Reader, t Task) io.Reader { return &reader{r, t} }

type reader struct {
	r io.Reader
	t Task
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.t.Add(int64(n))
	}
	return n, err
}
