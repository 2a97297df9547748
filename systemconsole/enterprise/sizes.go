package enterprise

import (
	"fmt"
	"iter"
	"strings"
)

// NamedSize is a size that people know by name.
type NamedSize struct {
	Name string
	Size Size
}

// Sizes returns the sizes that a site is offered, the smallest first.
func Sizes() []NamedSize {
	return []NamedSize{
		{"small", Size{CPUs: 8, MemoryMiB: 16 << 10, DiskGiB: 60}},
		{"medium", Size{CPUs: 16, MemoryMiB: 32 << 10, DiskGiB: 100}},
		{"large", Size{CPUs: 32, MemoryMiB: 64 << 10, DiskGiB: 120}},
	}
}

// String is such as "8 CPUs, 16 GiB memory, 60 GiB disk".
func (s Size) String() string {
	var parts []string
	if s.CPUs > 0 {
		parts = append(parts, fmt.Sprintf("%d CPUs", s.CPUs))
	}
	switch {
	case s.MemoryMiB > 0 && s.MemoryMiB%1024 == 0:
		parts = append(parts, fmt.Sprintf("%d GiB memory", s.MemoryMiB/1024))
	case s.MemoryMiB > 0:
		parts = append(parts, fmt.Sprintf("%d MiB memory", s.MemoryMiB))
	}
	if s.DiskGiB > 0 {
		parts = append(parts, fmt.Sprintf("%d GiB disk", s.DiskGiB))
	}
	if len(parts) == 0 {
		return "not known"
	}
	return strings.Join(parts, ", ")
}

// Pool returns a pool by its name.
func (o *Overview) Pool(name string) (Pool, bool) {
	for _, p := range o.Pools {
		if p.Name == name {
			return p, true
		}
	}
	return Pool{}, false
}

// Node returns a node by its name.
func (o *Overview) Node(name string) (Node, bool) {
	for n := range o.Nodes() {
		if n.Name == name {
			return *n, true
		}
	}
	return Node{}, false
}

// Nodes goes through the nodes of all pools.
func (o *Overview) Nodes() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for i := range o.Pools {
			for j := range o.Pools[i].Nodes {
				if !yield(&o.Pools[i].Nodes[j]) {
					return
				}
			}
		}
	}
}
