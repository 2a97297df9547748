package site

// Size is what a machine has: a name, or each figure. After Parse the figures
// are always there.
type Size struct {
	Name      string `json:"name,omitempty"` // small, medium or large
	CPUs      int    `json:"cpus,omitempty"`
	MemoryGiB int    `json:"memoryGiB,omitempty"`
	DiskGiB   int    `json:"diskGiB,omitempty"`
}

// ShortField implements document.ShortForm.
func (Size) ShortField() string { return "name" }

// The named sizes.
const (
	Small  = "small"
	Medium = "medium"
	Large  = "large"
)

// named returns the figures of a named size.
func named(name string) (Size, bool) {
	switch name {
	case Small:
		return Size{Small, 8, 16, 60}, true
	case Medium:
		return Size{Medium, 16, 32, 100}, true
	case Large:
		return Size{Large, 32, 64, 120}, true
	default:
		return Size{}, false
	}
}

// The least that a node of Kubernetes runs with.
const (
	minCPUs      = 2
	minMemoryGiB = 2
	minDiskGiB   = 20
)

func (s Size) orDefault() Size {
	if s == (Size{}) {
		s.Name = Small
	}
	if full, ok := named(s.Name); ok && s == (Size{Name: s.Name}) {
		return full
	}
	return s
}

func (s Size) validate(out *problems, at string) {
	if s.Name != "" {
		if full, ok := named(s.Name); !ok {
			out.add(at, "%q is none of small, medium and large", s.Name)
		} else if s != full {
			out.add(at, "give a name or figures, not both")
		}
		return
	}
	for _, f := range []struct {
		name     string
		is, need int
	}{{"cpus", s.CPUs, minCPUs}, {"memoryGiB", s.MemoryGiB, minMemoryGiB}, {"diskGiB", s.DiskGiB, minDiskGiB}} {
		if f.is < f.need {
			out.add(at+"."+f.name, "is %d; a node needs %d or more", f.is, f.need)
		}
	}
}
