package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sealift/sealift/bundles/content"
)

// ErrNoDelete means: the registry removes nothing, or not what was asked for.
var ErrNoDelete = errors.New("the registry does not remove this")

// Delete removes a manifest or index, and with it its tags. One with a subject
// leaves the list of its subject too, where the registry has that as a tag. It
// fails with content.ErrNotFound when it is not there and with ErrNoDelete when
// the registry removes nothing.
func (r *Repository) Delete(ctx context.Context, d content.Descriptor) error {
	err := r.oras.Manifests().Delete(ctx, d)
	return r.explain("removing "+d.Digest.String()+" from", err)
}

// Untag removes a tag; its manifest stays. It fails as Delete does.
func (r *Repository) Untag(ctx context.Context, tag string) error {
	return r.explain("removing tag "+tag+" from", r.untag(ctx, tag))
}

func (r *Repository) untag(ctx context.Context, tag string) error {
	ctx = auth.AppendRepositoryScope(ctx, r.oras.Reference, auth.ActionDelete)
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.base+"/manifests/"+tag, nil)
	if err != nil {
		return err
	}
	resp, err := r.client.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return errdef.ErrNotFound
	default:
		return responseError(resp)
	}
}

// Unlist removes the tag by which clients list what refers to a manifest where
// a registry has no referrers API, when nothing is on that list any more.
func (r *Repository) Unlist(ctx context.Context, subject digest.Digest) error {
	d, err := r.Resolve(ctx, ReferrersTag(subject))
	if errors.Is(err, content.ErrNotFound) || (err == nil && d.MediaType != ocispec.MediaTypeImageIndex) {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := content.ReadAll(ctx, r, d, content.MaxManifestSize)
	if err != nil {
		return err
	}
	list, err := content.ParseManifest(d, data)
	if err != nil || len(list.Manifests) > 0 {
		return err
	}
	return r.Delete(ctx, d)
}

// ReferrersTag is the tag of the list of what refers to a manifest, where a
// registry has no referrers API.
// Source: the OCI distribution specification 1.1, "Referrers Tag Schema".
func ReferrersTag(subject digest.Digest) string {
	return subject.Algorithm().String() + "-" + subject.Encoded()
}
