package kube

import (
	"context"
	"fmt"
	"math"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
)

var _ tenant.Meter = (*Provisioner)(nil)

// quotaName is the name of the quota in the template.
const quotaName = "tenant"

// Usage reads what the cluster counted for the tenant's quota.
func (p *Provisioner) Usage(ctx context.Context, name string) (tenant.Usage, error) {
	var u tenant.Usage
	if err := store.CheckName(name); err != nil {
		return u, err
	}
	quotas := p.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}).Namespace("tenant-" + name)
	found, err := quotas.Get(ctx, quotaName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		u.Measured = true
		return u, nil
	}
	if err != nil {
		return u, fmt.Errorf("reading what tenant %s uses: %w", name, err)
	}
	used, counted, err := unstructured.NestedStringMap(found.Object, "status", "used")
	if err != nil || !counted {
		return u, err // the cluster has not counted yet
	}
	var cpu, memory, storage, pods float64
	for key, into := range map[string]*float64{"requests.cpu": &cpu, "requests.memory": &memory, "requests.storage": &storage, "pods": &pods} {
		if *into, err = amount(used[key]); err != nil {
			return u, fmt.Errorf("reading what tenant %s uses of %s: %w", name, key, err)
		}
	}
	return tenant.Usage{Measured: true, CPU: rounded(cpu), MemoryGiB: rounded(memory / (1 << 30)), StorageGiB: rounded(storage / (1 << 30)), Pods: int(pods)}, nil
}

// amount reads a quantity; nothing counted is 0.
func amount(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	q, err := resource.ParseQuantity(text)
	return q.AsApproximateFloat64(), err
}

// rounded cuts to two places: nobody reads more.
func rounded(f float64) float64 { return math.Round(f*100) / 100 }
