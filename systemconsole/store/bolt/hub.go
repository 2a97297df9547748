package bolt

import (
	"context"
	"sync"

	"github.com/sealift/sealift/systemconsole/store"
)

// backlog is how many events a watcher may be behind before it is cut off.
const backlog = 1024

// hub hands changes to those who watch.
type hub struct {
	order    sync.Mutex // held while a change is made and told
	mu       sync.Mutex // guards what follows
	watchers map[*watcher]struct{}
	closed   bool
}

type watcher struct {
	kind   string
	events chan store.Event
}

func (h *hub) watch(ctx context.Context, kind string) <-chan store.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{kind: kind, events: make(chan store.Event, backlog)}
	if h.closed || ctx.Err() != nil {
		close(w.events)
		return w.events
	}
	if h.watchers == nil {
		h.watchers = map[*watcher]struct{}{}
	}
	h.watchers[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(w)
	})
	return w.events
}

func (h *hub) tell(e store.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.kind != e.Object.Kind {
			continue
		}
		select {
		case w.events <- e:
		default:
			h.drop(w) // too slow
		}
	}
}

// drop ends a watch once. The lock is held.
func (h *hub) drop(w *watcher) {
	if _, ok := h.watchers[w]; ok {
		delete(h.watchers, w)
		close(w.events)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.drop(w)
	}
}
