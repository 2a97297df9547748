package enterprise

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxEvents is the most events that Events returns.
const maxEvents = 1000

// Events returns the last events of all namespaces, the newest first.
func (l *Live) Events(ctx context.Context) ([]Event, error) {
	var out []Event
	next := ""
	for {
		var page corev1.EventList
		if err := l.client.List(ctx, &page, client.Limit(500), client.Continue(next)); err != nil {
			return nil, fmt.Errorf("listing events: %w", err)
		}
		for i := range page.Items {
			out = append(out, eventOf(&page.Items[i]))
		}
		slices.SortStableFunc(out, func(a, b Event) int { return b.When.Compare(a.When) })
		out = out[:min(len(out), maxEvents)]
		if next = page.Continue; next == "" {
			return out, nil
		}
	}
}

func eventOf(e *corev1.Event) Event {
	out := Event{
		State: Good, When: lastSeen(e), Reason: e.Reason, Message: e.Message, Count: max(1, int(e.Count)),
		Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name,
	}
	if e.Type == corev1.EventTypeWarning {
		out.State = Warn
	}
	if e.Series != nil {
		out.Count = max(out.Count, int(e.Series.Count))
	}
	return out
}

// lastSeen is when an event last happened; old and new clients write it into
// different fields.
func lastSeen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	default:
		return e.CreationTimestamp.Time
	}
}
