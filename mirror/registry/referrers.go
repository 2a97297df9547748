package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sealift/sealift/bundles/content"
)

var _ content.ReferrerLister = (*Repository)(nil)

// maxReferrers is how many artifacts may refer to one manifest.
const maxReferrers = 10_000

// Referrers returns what refers to a manifest: by the referrers API, or where a
// registry has none, by the tag that clients keep instead.
func (r *Repository) Referrers(ctx context.Context, subject content.Descriptor) ([]content.Descriptor, error) {
	found, err := r.referrers(ctx, subject, false)
	if lacksAPI(err) {
		found, err = r.referrers(ctx, subject, true)
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, nil
	}
	return found, r.explain("listing what refers to "+subject.Digest.String()+" in", err)
}

func (r *Repository) referrers(ctx context.Context, subject content.Descriptor, byTag bool) ([]content.Descriptor, error) {
	repo := &remote.Repository{Client: r.client.http, Reference: r.oras.Reference, PlainHTTP: r.oras.PlainHTTP}
	if byTag {
		if err := repo.SetReferrersCapability(false); err != nil {
			return nil, err
		}
	}
	var found []content.Descriptor
	err := repo.Referrers(ctx, subject, "", func(page []content.Descriptor) error {
		for _, d := range page {
			if err := d.Digest.Validate(); err != nil {
				return fmt.Errorf("the registry names %.100q: %w", d.Digest.String(), err)
			}
			if d.Digest.Algorithm() == digest.SHA256 && content.IsManifest(d.MediaType) {
				found = append(found, d)
			}
		}
		if len(found) > maxReferrers {
			return fmt.Errorf("more than %d artifacts refer to %s: %w", maxReferrers, subject.Digest, content.ErrTooLarge)
		}
		return nil
	})
	return found, err
}

// lacksAPI tells whether an answer is one of those by which registries say
// that they do not know the request. Every other failure is one.
func lacksAPI(err error) bool {
	var answer *errcode.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}
