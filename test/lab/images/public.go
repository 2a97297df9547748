package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/sealift/sealift/internal/problem"
)

// ownHost is the registry of images that exist nowhere else.
const ownHost = "lab.sealift.test/"

// PublicOptions is how public registries are reached. The zero value goes by
// the environment: HTTPS_PROXY, and Docker's credentials.
type PublicOptions struct {
	Transport http.RoundTripper // nil means Go's own
}

// WritePublic is WriteLayout with the images that are published under these
// names, for this machine's platform. Those of the lab alone are made as ever.
func WritePublic(ctx context.Context, dir string, images []Image, opts PublicOptions) error {
	var own, public []Image
	for _, image := range images {
		if strings.HasPrefix(image.Name, ownHost) {
			own = append(own, image)
		} else {
			public = append(public, image)
		}
	}
	if err := WriteLayout(ctx, dir, own); err != nil {
		return err
	}
	p, err := layout.FromPath(dir)
	if err != nil {
		return err
	}
	for _, image := range public {
		if err := appendPublic(ctx, p, image.Name, opts); err != nil {
			return err
		}
	}
	return nil
}

// appendPublic copies an image into a layout.
func appendPublic(ctx context.Context, p layout.Path, image string, opts PublicOptions) error {
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})}
	if opts.Transport != nil {
		options = append(options, remote.WithTransport(opts.Transport))
	}
	img, err := remote.Image(ref, options...)
	if err == nil {
		err = p.AppendIndex(index(img), layout.WithAnnotations(map[string]string{refName: image}))
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	host := ref.Context().RegistryStr()
	err = fmt.Errorf("copying %s: %w", image, err)
	const source = ", or unset LAB_SOURCE: then the lab makes its images from source"
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		return problem.WithRemedy(err, host+" answers, but does not give the image: see whether it is published there, and log in if it asks for that"+source)
	}
	return problem.New(problem.Preflight, "make "+host+" reachable, by HTTPS_PROXY if there is a proxy"+source, "%s cannot be reached: %w", host, err)
}
