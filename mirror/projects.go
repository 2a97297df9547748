package mirror

import (
	"slices"
	"strings"

	"github.com/sealift/sealift/bundles/archive"
)

// Projects returns the first elements of the repositories that a push of the
// bundle fills, each once and sorted. In a Harbor these are its projects, which
// have to be there before anything is pushed.
func Projects(bundle *archive.Reader, m *Mapping) []string {
	var out []string
	for _, root := range bundle.Statement().Roots {
		if repository, _, err := m.Repository(root.Reference); err == nil { // what has no place is told by the push
			project, _, _ := strings.Cut(repository, "/")
			out = append(out, project)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
