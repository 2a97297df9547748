package vsphere

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/sealift/sealift/internal/spelling"
)

// maxNear is how many near misses are offered.
const maxNear = 3

// nearest returns the paths of the objects whose names are the most like name:
// two letters or a third of them differ, or one holds the other.
func nearest(name string, objects []Object) []string {
	type candidate struct {
		path string
		far  int
	}
	want := strings.ToLower(path.Base(name))
	var found []candidate
	for _, o := range objects {
		have := strings.ToLower(o.Name())
		far := spelling.Distance(want, have)
		if (far > max(2, len(want)/3) || far >= len(want)) && !strings.Contains(have, want) && !strings.Contains(want, have) {
			continue
		}
		found = append(found, candidate{o.Path, far})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, c := range found[:min(len(found), maxNear)] {
		out = append(out, c.path)
	}
	return out
}
