package enterprise

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watchFor is how long machines and nodes are followed after somebody last
// asked for them.
const watchFor = time.Minute

// lister lists the objects of one kind.
type lister interface {
	List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error
}

// watched has the machines and nodes of a cluster in memory, which are many and
// change seldom. It follows the API server as long as somebody asks: the first
// who does waits until all of them are there.
type watched struct {
	config    *rest.Config
	kinds     *runtime.Scheme
	mapper    meta.RESTMapper
	namespace string // of the machines

	mu    sync.Mutex
	cache cache.Cache // nil while nobody asks
	idle  *time.Timer // ends it
}

// List reads machines or nodes from memory.
func (w *watched) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	c, err := w.follow(ctx)
	if err != nil {
		return err
	}
	if !c.WaitForCacheSync(ctx) {
		return fmt.Errorf("the API server did not tell of all in time: %w", context.Cause(ctx))
	}
	return c.List(ctx, list, opts...)
}

// follow returns what is in memory, and begins to follow unless that is under way.
func (w *watched) follow(ctx context.Context) (cache.Cache, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cache != nil && w.idle.Reset(watchFor) {
		return w.cache, nil
	}
	shared := true // who reads them changes nothing
	by := cache.ByObject{Transform: onlyShown, UnsafeDisableDeepCopy: &shared}
	machines := by
	machines.Namespaces = map[string]cache.Config{w.namespace: {}}
	c, err := cache.New(w.config, cache.Options{Scheme: w.kinds, Mapper: w.mapper, ByObject: map[client.Object]cache.ByObject{&clusterv1.Machine{}: machines, &corev1.Node{}: by}})
	if err != nil {
		return nil, fmt.Errorf("following the cluster's machines: %w", err)
	}
	// It outlives the request that is the first to ask.
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { _ = c.Start(following) }() // until it is stopped
	w.cache = c
	w.idle = time.AfterFunc(watchFor, func() {
		stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cache == c {
			w.cache = nil
		}
	})
	return c, nil
}

// onlyShown takes away what no page shows, before an object is kept: images on
// a node and who manages which field are the most of it.
func onlyShown(o any) (any, error) {
	object, ok := o.(client.Object)
	if !ok {
		return nil, errors.New("no object of the cluster")
	}
	object.SetManagedFields(nil)
	object.SetAnnotations(nil)
	if n, ok := o.(*corev1.Node); ok {
		n.Status.Images, n.Status.VolumesAttached, n.Status.VolumesInUse = nil, nil, nil
	}
	return o, nil
}
