package clusterapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A single pod that may be replaced in place counts as available to Kubernetes
// while it crashes; here it does not, and its own words are told.
func TestAWorkloadThatDoesNotStart(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	at := client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "beacon"}
	d, pod := workload(at)
	require.NoError(t, m.Create(t.Context(), d))
	w, err := m.Workload(t.Context(), at)
	require.NoError(t, err)
	require.False(t, w.Done(), "nobody has looked at it yet")

	require.NoError(t, m.Create(t.Context(), pod))
	pod.Status = crashing("panic: the lamp is broken\n\ngoroutine 1 [running]:\nmain.main()\n")
	require.NoError(t, m.Status().Update(t.Context(), pod))
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1,
		Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}}
	require.NoError(t, m.Status().Update(t.Context(), d))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var said strings.Builder
	err = m.WaitWorkload(ctx, at, func(_ string, args ...any) { said.WriteString(args[0].(string)) })
	const words = "0 of 1 pods are ready; Pod beacon-1: CrashLoopBackOff: back-off; container lamp ended with exit code 2: panic: the lamp is broken"
	require.ErrorContains(t, err, "waiting for Deployment default/beacon: ")
	require.ErrorContains(t, err, words)
	require.Equal(t, words, said.String(), "said once")

	d.Status.ReadyReplicas = 1
	require.NoError(t, m.Status().Update(t.Context(), d))
	require.NoError(t, m.WaitWorkload(t.Context(), at, t.Logf))
}

// Pods of an earlier form that are ready say nothing of the new.
func TestAWorkloadThatIsBeingReplaced(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	at := client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "beacon"}
	d, _ := workload(at)
	require.NoError(t, m.Create(t.Context(), d))
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: 1, ReadyReplicas: 1}
	require.NoError(t, m.Status().Update(t.Context(), d))
	w, err := m.Workload(t.Context(), at)
	require.NoError(t, err)
	require.False(t, w.Done())
}

func workload(at client.ObjectKey) (*appsv1.Deployment, *corev1.Pod) {
	labels := map[string]string{"app": at.Name}
	pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "lamp", Image: "registry.example/lamp:v1"}}}
	strategy := appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: new(intstr.FromInt32(0)), MaxUnavailable: new(intstr.FromInt32(1))}}
	return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name},
			Spec: appsv1.DeploymentSpec{Replicas: new(int32(1)), Strategy: strategy, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}},
		}, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name + "-1", Labels: labels},
			Spec:       pod,
		}
}

// crashing is the status of a pod whose container ends, with what it said last.
func crashing(last string) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name:                 "lamp",
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: last}},
	}}}
}
