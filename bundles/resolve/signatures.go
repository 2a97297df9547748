package resolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

// How cosign keeps a signature: a layer with what was signed, and the
// signature in its annotations. Source: cosign, specs/SIGNATURE_SPEC.md.
const (
	mediaTypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotationSignature    = "dev.cosignproject.cosign/signature"
	maxPayload             = 64 << 10
)

// ErrUnsigned means: an image has no signature that its rule accepts.
var ErrUnsigned = errors.New("no good signature")

// verifiers opens each key once.
type verifiers struct {
	mu   sync.Mutex
	open map[string]func() (*sign.Verifier, error)
}

func (v *verifiers) get(ctx context.Context, ref string) (*sign.Verifier, error) {
	v.mu.Lock()
	once, ok := v.open[ref]
	if !ok {
		once = sync.OnceValues(func() (*sign.Verifier, error) { return sign.NewVerifier(context.WithoutCancel(ctx), ref) })
		if v.open == nil {
			v.open = map[string]func() (*sign.Verifier, error){}
		}
		v.open[ref] = once
	}
	v.mu.Unlock()
	return once()
}

// verify checks the signatures of a thing by the first rule that matches it.
func (s *session) verify(ctx context.Context, r *resolver, it *item) error {
	for _, rule := range s.def.Spec.Verify {
		if !definition.Matches(rule.Match, r.repo) {
			continue
		}
		if rule.Key == definition.KeyNone {
			return nil
		}
		key, err := s.keys.get(ctx, s.keyPath(rule.Key))
		if err != nil {
			return err
		}
		return r.signedBy(ctx, it.roots[1:], key, rule)
	}
	return nil
}

// keyPath returns where a key is: a path of the definition, or a URI as it is.
func (s *session) keyPath(key string) string {
	if sign.IsFile(key) {
		return s.def.Path(key)
	}
	return key
}

// signedBy checks that one of the referrers is a good signature of the root.
func (r *resolver) signedBy(ctx context.Context, referrers []archive.Root, key *sign.Verifier, rule definition.VerifyRule) error {
	var why []error
	for _, root := range referrers {
		if root.Subject != r.desc.Digest {
			continue
		}
		m, err := content.ParseManifest(root.Descriptor, r.blobs[r.at[root.Descriptor.Digest]].Data)
		if err != nil {
			return err
		}
		for _, l := range m.Layers {
			if l.MediaType != mediaTypeSimpleSigning {
				continue
			}
			data, err := content.ReadAll(ctx, r.src, l, maxPayload)
			if err != nil {
				return err // out of reach is not unsigned
			}
			if err = r.goodSignature(data, l.Annotations[annotationSignature], key); err == nil {
				return nil
			}
			why = append(why, err)
		}
	}
	if len(why) == 0 {
		why = append(why, errors.New("it is not signed"))
	}
	remedy := "get an image that its makers signed with this key, or change the rule under verify:"
	if r.locked {
		remedy += "; if it was signed after the lock was written, --update-lock looks again"
	}
	return problem.New(problem.Verification, remedy, "%w by %s, which the rule for %s asks for: %w", ErrUnsigned, rule.Key, rule.Match, errors.Join(why...))
}

// goodSignature checks a signature and that it speaks of this image.
func (r *resolver) goodSignature(data []byte, signature string, key *sign.Verifier) error {
	if err := key.Verify(data, []byte(signature)); err != nil {
		return err
	}
	var signed payload.SimpleContainerImage
	if err := json.Unmarshal(data, &signed); err != nil {
		return fmt.Errorf("what was signed is not a payload of cosign: %w", err)
	}
	if signed.Critical.Type != payload.CosignSignatureType || signed.Critical.Image.DockerManifestDigest != r.desc.Digest.String() {
		return fmt.Errorf("the signature is for %s (%s)", signed.Critical.Image.DockerManifestDigest, signed.Critical.Type)
	}
	return nil
}
