package bundles

import (
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
)

// Inspection is what a bundle says of itself.
type Inspection struct {
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Statement string          `json:"statement"` // digest of the statement
	Verified  bool            `json:"verified"`  // whether the signature was checked
	Size      int64           `json:"size"`      // bytes of the file
	Blobs     int             `json:"blobs"`
	Contents  []InspectedRoot `json:"contents"`
	// AllowMissing is what may be needed and yet is not carried.
	AllowMissing []archive.Allowance `json:"allowMissing,omitempty"`
	// Bases and FromBase are what a delta needs besides.
	Bases    []archive.Base `json:"bases,omitempty"`
	FromBase BaseContent    `json:"fromBase,omitzero"`
}

// BaseContent counts what a delta leaves to its bases.
type BaseContent struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// InspectedRoot is one thing that a bundle carries.
type InspectedRoot struct {
	Kind      string         `json:"kind"` // image, chart, pack, manifests, file, values, referrer or sbom
	Reference string         `json:"reference"`
	Resolved  string         `json:"resolved"`
	Digest    string         `json:"digest"`
	MediaType string         `json:"mediaType"`
	Platforms []string       `json:"platforms"`
	Absent    []string       `json:"absent,omitempty"`  // platforms left out on purpose
	Size      int64          `json:"size"`              // bytes of all its blobs, also of those it shares
	Subject   string         `json:"subject,omitempty"` // digest of what a referrer or values belong to
	Needs     []archive.Need `json:"needs,omitempty"`
}

// Inspect describes a bundle out of its head.
func Inspect(r *archive.Reader, verified bool) *Inspection {
	s := r.Statement()
	out := &Inspection{Name: s.Name, Version: s.Version, Statement: r.StatementDigest().String(), Verified: verified,
		Size: r.Size(), Blobs: len(s.Blobs), Contents: inspectRoots(s.Roots), AllowMissing: s.AllowMissing, Bases: s.Bases,
		FromBase: BaseContent{Blobs: len(s.FromBase), Bytes: sizeOf(s.FromBase)}}
	return out
}

func inspectRoots(roots []archive.Root) []InspectedRoot {
	out := []InspectedRoot{}
	for _, root := range roots {
		img := InspectedRoot{Kind: root.Kind, Subject: root.Subject.String(), Needs: root.Needs, Reference: root.Reference, Resolved: root.Resolved, Digest: root.Descriptor.Digest.String(),
			MediaType: root.Descriptor.MediaType, Platforms: root.Platforms, Size: root.Size}
		for _, d := range root.Absent {
			img.Absent = append(img.Absent, platformOf(d.Platform))
		}
		out = append(out, img)
	}
	return out
}

// Count is how many things of a kind a bundle carries.
type Count struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// count counts roots by their kind, in the order in which kinds first come.
func count(roots []archive.Root) []Count {
	out := []Count{}
	for _, r := range roots {
		i := slices.IndexFunc(out, func(c Count) bool { return c.Kind == r.Kind })
		if i < 0 {
			out = append(out, Count{Kind: r.Kind, Count: 1})
		} else {
			out[i].Count++
		}
	}
	return out
}

// platformOf names a platform as OS/ARCH[/VARIANT].
func platformOf(p *ocispec.Platform) string {
	if p == nil {
		return "unknown"
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}
