package sbom

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
)

// BuildKit attaches attestations to an image as further manifests of its
// index, with the digest of the manifest that they speak of in this annotation.
const attestedDigest = "vnd.docker.reference.digest"

// Media types of what may hold an SBOM.
const (
	mediaTypeInToto         = "application/vnd.in-toto+json"
	mediaTypeDSSE           = "application/vnd.dsse.envelope.v1+json"
	mediaTypeSigstoreBundle = "application/vnd.dev.sigstore.bundle"
)

// maxSBOM is the largest SBOM of an image, in bytes, that is read.
const maxSBOM = 64 << 20

// declarations are the layers that may hold an SBOM, by the digest of the
// manifest that they are attached to, the better ones first.
type declarations map[digest.Digest][]content.Descriptor

// findDeclarations looks through all manifests of a bundle for what is attached
// to others: BuildKit's attestations, referrers, and the tags of cosign.
func findDeclarations(ctx context.Context, b Bundle) (declarations, error) {
	subjects := map[digest.Digest]digest.Digest{} // of what the manifest itself says no subject
	for _, r := range b.Statement().Roots {
		if s := cmp.Or(r.Subject, cosignSubject(r)); s != "" {
			subjects[r.Descriptor.Digest] = s
		}
	}
	attested := map[digest.Digest]digest.Digest{}
	manifests := map[digest.Digest]*content.Manifest{}
	for _, blob := range b.Statement().Blobs {
		if !content.IsManifest(blob.MediaType) {
			continue
		}
		m, err := readManifest(ctx, b, blob.Digest)
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", blob.Digest, err)
		}
		for _, d := range m.Manifests {
			if s := digest.Digest(d.Annotations[attestedDigest]); s != "" {
				attested[d.Digest] = s
			}
		}
		if layers := candidates(m.Layers); len(layers) > 0 {
			manifests[blob.Digest] = &content.Manifest{Subject: m.Subject, Layers: layers}
		}
	}
	attestations, others := declarations{}, declarations{}
	for _, d := range slices.Sorted(maps.Keys(manifests)) {
		m := manifests[d]
		if s := attested[d]; s != "" {
			attestations[s] = append(attestations[s], m.Layers...)
		} else if s := subjects[d]; s != "" {
			others[s] = append(others[s], m.Layers...)
		} else if m.Subject != nil {
			others[m.Subject.Digest] = append(others[m.Subject.Digest], m.Layers...)
		}
	}
	for s, layers := range others {
		attestations[s] = append(attestations[s], layers...)
	}
	return attestations, nil
}

// candidates returns the layers that may hold an SBOM.
func candidates(layers []content.Descriptor) []content.Descriptor {
	return slices.DeleteFunc(slices.Clone(layers), func(d content.Descriptor) bool {
		if t := d.Annotations["in-toto.io/predicate-type"]; t != "" && !isSBOMPredicate(t) {
			return true
		}
		return d.MediaType != mediaTypeInToto && d.MediaType != mediaTypeDSSE &&
			!strings.HasPrefix(d.MediaType, mediaTypeSigstoreBundle) && !isSBOMType(d.MediaType)
	})
}

// isSBOMType tells whether a media type is that of an SBOM in JSON. cosign
// has used two of its own for SPDX.
func isSBOMType(t string) bool {
	t, _, _ = strings.Cut(t, ";")
	switch t {
	case "application/spdx+json", "text/spdx+json", "spdx+json", "application/vnd.cyclonedx+json":
		return true
	default:
		return false
	}
}

func isSBOMPredicate(t string) bool {
	return strings.HasPrefix(t, "https://spdx.dev/Document") || strings.HasPrefix(t, "https://cyclonedx.org/bom")
}

// cosignSubject returns the digest that the tag of cosign's attestations and
// SBOMs names, or nothing: sha256-HEX.att, sha256-HEX.sbom, sha256-HEX.sig.
func cosignSubject(r archive.Root) digest.Digest {
	ref, err := reference.ParseNormalizedNamed(r.Reference)
	if err != nil {
		return ""
	}
	t, ok := ref.(reference.Tagged)
	if !ok {
		return ""
	}
	name, kind, _ := strings.Cut(t.Tag(), ".")
	hex, ok := strings.CutPrefix(name, "sha256-")
	if d := digest.NewDigestFromEncoded(digest.SHA256, hex); ok && d.Validate() == nil && slices.Contains([]string{"att", "sbom", "sig"}, kind) {
		return d
	}
	return ""
}

// Errors about an SBOM that an image carries.
var (
	errNoSBOM  = errors.New("it holds no SBOM")
	errSubject = errors.New("it speaks of another image")
	errForeign = errors.New("it is not an SBOM that this program reads")
)

// declaredPackages reads the SBOMs of an image. used are the digests of those
// that could be read; none means that the image has to be scanned.
func declaredPackages(ctx context.Context, b Bundle, found declarations, c *component) (packs []pack, used []digest.Digest, warnings []string, err error) {
	for _, subject := range []digest.Digest{c.desc.Digest, c.index} {
		if len(used) > 0 { // what speaks of the platform is better than what speaks of all
			break
		}
		for _, d := range found[subject] {
			data, err := content.ReadAll(ctx, b, content.Bare(d), maxSBOM)
			if errors.Is(err, content.ErrMismatch) || ctx.Err() != nil {
				return nil, nil, nil, fmt.Errorf("SBOM %s of %s: %w", d.Digest, c.reference, err)
			}
			var more []pack
			if err == nil {
				more, err = decodeDeclared(data, d.MediaType, subject)
			}
			switch {
			case errors.Is(err, errNoSBOM):
			case err != nil:
				warnings = append(warnings, fmt.Sprintf("%s: SBOM %s is left aside: %v", c.reference, d.Digest, err))
			case !slices.Contains(used, d.Digest):
				packs, used = append(packs, more...), append(used, d.Digest)
			}
		}
	}
	return packs, used, warnings, nil
}

// decodeDeclared reads an SBOM, unwrapped from whatever it came in, and checks
// that it speaks of subject where the wrapping says of what.
func decodeDeclared(data []byte, mediaType string, subject digest.Digest) ([]pack, error) {
	if isSBOMType(mediaType) {
		return decodeSBOM(data)
	}
	if mediaType != mediaTypeInToto {
		var envelope struct {
			Payload []byte `json:"payload"`
			Bundled *struct {
				Payload []byte `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal(data, &envelope); err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		if data = envelope.Payload; envelope.Bundled != nil {
			data = envelope.Bundled.Payload
		}
		if data == nil {
			return nil, errNoSBOM
		}
	}
	var statement struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(data, &statement); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	if !isSBOMPredicate(statement.PredicateType) {
		return nil, errNoSBOM
	}
	for _, s := range statement.Subject {
		if s.Digest["sha256"] == subject.Encoded() {
			return decodeSBOM(statement.Predicate)
		}
	}
	return nil, errSubject
}
