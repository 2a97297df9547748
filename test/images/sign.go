package images

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/sealift/sealift/bundles/sign"
)

// Sign signs what a reference names now, as cosign sign does with a key and
// without a transparency log: the signature is pushed beside it.
func Sign(ctx context.Context, ref string, signer *sign.Signer) error {
	to, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	d, err := remote.Head(to)
	if err != nil {
		return err
	}
	signed, err := payload.Cosign{Image: to.Context().Digest(d.Digest.String())}.MarshalJSON()
	if err != nil {
		return err
	}
	signature, err := signer.Sign(ctx, signed)
	if err != nil {
		return err
	}
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), mutate.Addendum{
		Layer:       static.NewLayer(signed, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": strings.TrimSpace(string(signature))}})
	if err != nil {
		return err
	}
	return remote.Write(to.Context().Tag(signatureTag(d.Digest)), img)
}

// signatureTag is the tag under which cosign looks for the signature of a manifest.
func signatureTag(d v1.Hash) string { return d.Algorithm + "-" + d.Hex + ".sig" }
