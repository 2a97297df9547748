package mirror

import (
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
)

// Union is bundles that are used together: several side by side, or a delta
// and the bases that supply what it leaves out. Where a delta and its base
// have the same reference, the delta's counts.
type Union struct {
	bundles []*archive.Reader
}

// Join makes a union. The bundles stay open as long as it is used.
func Join(bundles []*archive.Reader) *Union { return &Union{bundles: bundles} }

// Place returns where each root of the union goes, bundle by bundle. It fails
// as Mapping.Place does.
func (u *Union) Place(m *Mapping) ([]Placement, error) {
	newer := u.newer()
	var roots []archive.Root
	var from []*archive.Reader
	for _, bundle := range u.bundles {
		for _, root := range bundle.Statement().Roots {
			if !newer[bundle][root.Reference] {
				roots, from = append(roots, root), append(from, bundle)
			}
		}
	}
	placements, err := m.Place(roots)
	if err != nil {
		return nil, err
	}
	for i := range placements {
		placements[i].Bundle = from[i]
	}
	return placements, nil
}

// newer returns, for each bundle, the references that deltas over it have.
func (u *Union) newer() map[*archive.Reader]map[string]bool {
	byStatement := map[digest.Digest]*archive.Reader{}
	for _, bundle := range u.bundles {
		byStatement[bundle.StatementDigest()] = bundle
	}
	out := map[*archive.Reader]map[string]bool{}
	for _, delta := range u.bundles {
		for _, base := range below(delta, byStatement) {
			if out[base] == nil {
				out[base] = map[string]bool{}
			}
			for _, root := range delta.Statement().Roots {
				out[base][root.Reference] = true
			}
		}
	}
	return out
}

// below returns the bases of a delta, and their bases, as far as they are given.
func below(delta *archive.Reader, given map[digest.Digest]*archive.Reader) []*archive.Reader {
	var out []*archive.Reader
	seen := map[*archive.Reader]bool{delta: true}
	for next := []*archive.Reader{delta}; len(next) > 0; next = next[1:] {
		for _, b := range next[0].Statement().Bases {
			if base := given[b.Statement]; base != nil && !seen[base] {
				seen[base] = true
				out, next = append(out, base), append(next, base)
			}
		}
	}
	return out
}

// Holder returns the first bundle that has a blob, or nil.
func (u *Union) Holder(d digest.Digest) *archive.Reader {
	for _, bundle := range u.bundles {
		if _, ok := bundle.Blob(d); ok {
			return bundle
		}
	}
	return nil
}
