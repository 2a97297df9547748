package sbom

import (
	"context"
	"encoding/json"
	"fmt"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// Media types of the layers of an SBOM within a bundle.
const (
	MediaTypeSPDX      = "application/spdx+json"
	MediaTypeCycloneDX = "application/vnd.cyclonedx+json"
	MediaTypeLicenses  = "text/plain"
)

// Artifact makes the OCI artifact that holds an SBOM: three layers with the
// names bundle.spdx.json, bundle.cdx.json and licenses.txt.
func Artifact(r *Result) (*artifact.Artifact, error) {
	return artifact.New(artifact.TypeSBOM, []artifact.Layer{
		artifact.Bytes(MediaTypeSPDX, "bundle.spdx.json", r.SPDX),
		artifact.Bytes(MediaTypeCycloneDX, "bundle.cdx.json", r.CycloneDX),
		artifact.Bytes(MediaTypeLicenses, "licenses.txt", r.Text()),
	}, artifact.Options{})
}

// maxEmbedded is the largest document, in bytes, that is read from a bundle's
// own SBOM.
const maxEmbedded = 256 << 20

// Embedded returns the SBOM that a bundle holds of itself, or nil when it
// holds none.
func Embedded(ctx context.Context, b Bundle) (*Result, error) {
	for _, root := range b.Statement().Roots {
		if root.Kind != archive.RootSBOM {
			continue
		}
		m, err := readManifest(ctx, b, root.Descriptor.Digest)
		if err != nil {
			return nil, fmt.Errorf("reading the bundle's SBOM: %w", err)
		}
		out, err := readEmbedded(ctx, b, m)
		if err != nil {
			return nil, fmt.Errorf("reading the bundle's SBOM: %w", problem.As(problem.Verification, err))
		}
		return out, nil
	}
	return nil, nil
}

func readEmbedded(ctx context.Context, b Bundle, m *content.Manifest) (*Result, error) {
	out := &Result{Embedded: true}
	for _, l := range m.Layers {
		var to *[]byte
		switch l.MediaType {
		case MediaTypeSPDX:
			to = &out.SPDX
		case MediaTypeCycloneDX:
			to = &out.CycloneDX
		default:
			continue
		}
		var err error
		if *to, err = content.ReadAll(ctx, b, content.Bare(l), maxEmbedded); err != nil {
			return nil, err
		}
	}
	if out.SPDX == nil || out.CycloneDX == nil {
		return nil, fmt.Errorf("%s or %s is missing: %w", MediaTypeSPDX, MediaTypeCycloneDX, content.ErrNotFound)
	}
	var doc spdx.Document
	if err := json.Unmarshal(out.SPDX, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", MediaTypeSPDX, err)
	}
	out.Licenses = licensesOf(&doc)
	return out, nil
}
