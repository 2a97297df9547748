package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/retry"
)

// Workload is how far a Deployment has come.
type Workload struct {
	Ready, Want int32  // pods of the present form
	Words       string // what a pod that is not ready says; "" when none says anything
}

// Done tells whether all pods are ready.
func (w Workload) Done() bool { return w.Ready >= w.Want }

// String says it in one line.
func (w Workload) String() string {
	s := fmt.Sprintf("%d of %d pods are ready", w.Ready, w.Want)
	if w.Words != "" {
		s += "; " + w.Words
	}
	return s
}

// Workload returns how far a Deployment is. Its own condition Available is not
// asked: of a single pod that may be replaced in place it is always true.
func (m *Management) Workload(ctx context.Context, at client.ObjectKey) (Workload, error) {
	d := &appsv1.Deployment{}
	if err := m.Get(ctx, at, d); err != nil {
		return Workload{Want: 1}, fmt.Errorf("reading Deployment %s: %w", at, err)
	}
	w := Workload{Want: 1}
	if d.Spec.Replicas != nil {
		w.Want = *d.Spec.Replicas
	}
	// Pods of an earlier form are ready as well, until the last is replaced.
	if s := d.Status; s.ObservedGeneration >= d.Generation && s.Replicas == s.UpdatedReplicas {
		w.Ready = s.ReadyReplicas
	}
	if w.Done() {
		return w, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return w, fmt.Errorf("reading the selector of Deployment %s: %w", at, err)
	}
	pods := &corev1.PodList{}
	if err := m.List(ctx, pods, client.InNamespace(at.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return w, fmt.Errorf("reading the pods of Deployment %s: %w", at, err)
	}
	for i := range pods.Items {
		if said := podWords(&pods.Items[i]); said != "" {
			w.Words = "Pod " + pods.Items[i].Name + ": " + said
			break
		}
	}
	return w, nil
}

// WaitWorkload returns once all pods of a Deployment are ready, and says what
// changes meanwhile. It fails when ctx is done, with what was said last.
func (m *Management) WaitWorkload(ctx context.Context, at client.ObjectKey, say func(format string, args ...any)) error {
	for said := ""; ; {
		w, err := m.Workload(ctx, at)
		if err == nil && w.Done() {
			return nil
		}
		if now := w.String(); err == nil && now != said {
			said = now
			say("%s", said)
		}
		if cause := retry.Sleep(ctx, watchPause); cause != nil {
			if said != "" {
				err = errors.New(said)
			}
			return fmt.Errorf("waiting for Deployment %s: %w", at, joined(cause, err))
		}
	}
}

// podWords is why a pod is not ready, in its own words or those of who runs it.
func podWords(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if said := containerWords(c); said != "" {
			return said
		}
	}
	return ""
}

func containerWords(c corev1.ContainerStatus) string {
	var out []string
	if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" {
		out = append(out, strings.TrimSuffix(w.Reason+": "+w.Message, ": "))
	}
	for _, ended := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
		if ended == nil || ended.ExitCode == 0 {
			continue
		}
		words := fmt.Sprintf("container %s ended with exit code %d", c.Name, ended.ExitCode)
		if ended.Message != "" {
			words += ": " + tellingLine(ended.Message)
		}
		out = append(out, words)
		break
	}
	return strings.Join(out, "; ")
}

// tellingLine is the line of a log's end that says why a program ended: that of
// a panic, which its stacks follow, or the last.
func tellingLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}
