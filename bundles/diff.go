package bundles

import (
	"cmp"
	"slices"

	"github.com/distribution/reference"

	"github.com/sealift/sealift/bundles/archive"
)

// Difference is what changed from one bundle to another.
type Difference struct {
	Old     BundleName     `json:"old"`
	New     BundleName     `json:"new"`
	Added   []Change       `json:"added"`
	Removed []Change       `json:"removed"`
	Changed []Change       `json:"changed"`
	Carry   ContentToCarry `json:"carry"`
}

// BundleName names a bundle.
type BundleName struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Statement string `json:"statement"`
}

// Change is one image, chart or other root that is in one bundle only, or that
// differs.
type Change struct {
	Kind      string `json:"kind"`
	Reference string `json:"reference"` // in the new bundle, and in the old one where the new has it no more
	// OldReference is what the old bundle has in its place, when that is another
	// tag or digest of the same repository.
	OldReference string   `json:"oldReference,omitempty"`
	OldDigest    string   `json:"oldDigest,omitempty"`
	NewDigest    string   `json:"newDigest,omitempty"`
	OldPlatforms []string `json:"oldPlatforms,omitempty"`
	NewPlatforms []string `json:"newPlatforms,omitempty"`
}

// ContentToCarry counts what a site that has the old bundle lacks of the new.
type ContentToCarry struct {
	Blobs  int   `json:"blobs"`
	Bytes  int64 `json:"bytes"`
	Shared int64 `json:"sharedBytes"` // bytes that both bundles hold
}

// Diff compares two bundles out of their heads. Roots are matched by their full
// reference; where that leaves one in each bundle of the same kind and
// repository, the new one has taken the place of the old. All lists are in
// alphabetical order.
func Diff(older, newer *archive.Reader) *Difference {
	d := &Difference{Old: nameOf(older), New: nameOf(newer), Added: []Change{}, Removed: []Change{}, Changed: []Change{}}
	was, is := rootsByReference(older), rootsByReference(newer)
	for _, ref := range sortedKeys(was, is) {
		o, inOld := was[ref]
		n, inNew := is[ref]
		switch {
		case !inOld:
			d.Added = append(d.Added, Change{Kind: n.Kind, Reference: ref, NewDigest: n.Descriptor.Digest.String(), NewPlatforms: n.Platforms})
		case !inNew:
			d.Removed = append(d.Removed, Change{Kind: o.Kind, Reference: ref, OldDigest: o.Descriptor.Digest.String(), OldPlatforms: o.Platforms})
		case o.Descriptor.Digest != n.Descriptor.Digest || !slices.Equal(o.Platforms, n.Platforms):
			d.Changed = append(d.Changed, Change{Kind: n.Kind, Reference: ref, OldDigest: o.Descriptor.Digest.String(), OldPlatforms: o.Platforms,
				NewDigest: n.Descriptor.Digest.String(), NewPlatforms: n.Platforms})
		}
	}
	d.pair()
	for _, b := range newer.Statement().Blobs {
		if _, ok := older.Blob(b.Digest); ok {
			d.Carry.Shared += b.Size
		} else {
			d.Carry.Blobs++
			d.Carry.Bytes += b.Size
		}
	}
	return d
}

// pair makes one change of what went and what came in its place.
func (d *Difference) pair() {
	went, came := byRepository(d.Removed), byRepository(d.Added)
	replaced := map[string]bool{} // references
	for key, o := range went {
		if n := came[key]; len(o) == 1 && len(n) == 1 {
			d.Changed = append(d.Changed, Change{Kind: n[0].Kind, Reference: n[0].Reference, OldReference: o[0].Reference, OldDigest: o[0].OldDigest, OldPlatforms: o[0].OldPlatforms,
				NewDigest: n[0].NewDigest, NewPlatforms: n[0].NewPlatforms})
			replaced[o[0].Reference], replaced[n[0].Reference] = true, true
		}
	}
	done := func(c Change) bool { return replaced[c.Reference] }
	d.Removed, d.Added = slices.DeleteFunc(d.Removed, done), slices.DeleteFunc(d.Added, done)
	slices.SortFunc(d.Changed, func(a, b Change) int { return cmp.Compare(a.Reference, b.Reference) })
}

// byRepository sorts changes by kind and repository.
func byRepository(changes []Change) map[[2]string][]Change {
	out := map[[2]string][]Change{}
	for _, c := range changes {
		repository, _ := SplitReference(c.Reference)
		key := [2]string{c.Kind, repository}
		out[key] = append(out[key], c)
	}
	return out
}

// SplitReference returns the repository of a full reference, and its tag or "".
func SplitReference(ref string) (repository, tag string) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref, ""
	}
	if t, ok := named.(reference.Tagged); ok {
		tag = t.Tag()
	}
	return named.Name(), tag
}

func nameOf(r *archive.Reader) BundleName {
	s := r.Statement()
	return BundleName{Name: s.Name, Version: s.Version, Statement: r.StatementDigest().String()}
}

func rootsByReference(r *archive.Reader) map[string]archive.Root {
	out := map[string]archive.Root{}
	for _, root := range r.Statement().Roots {
		out[root.Reference] = root
	}
	return out
}

func sortedKeys(maps ...map[string]archive.Root) []string {
	var keys []string
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
