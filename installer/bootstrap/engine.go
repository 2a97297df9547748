package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sealift/sealift/bundles/content"
)

// engine is the program of a container engine.
type engine string

// The engines.
const (
	docker engine = "docker"
	podman engine = "podman"
)

// findEngine returns Docker, but where only Podman is installed.
func findEngine() engine {
	if _, err := exec.LookPath(string(docker)); err != nil {
		if _, err := exec.LookPath(string(podman)); err == nil {
			return podman
		}
	}
	return docker
}

// run runs a command of the engine.
func (e engine) run(ctx context.Context, in io.Reader, args ...string) error {
	_, err := e.output(ctx, in, args...)
	return err
}

// output runs a command of the engine and returns the words that it prints.
func (e engine) output(ctx context.Context, in io.Reader, args ...string) ([]string, error) {
	text, err := e.text(ctx, in, args...)
	return strings.Fields(text), err
}

// text runs a command of the engine and returns what it prints.
func (e engine) text(ctx context.Context, in io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, string(e), args...)
	cmd.Stdin = in
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", e, strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// networkVariable is the variable of the environment by which kind is told, and
// can only be told, the engine's network that its nodes are on.
func (e engine) networkVariable() string {
	return "KIND_EXPERIMENTAL_" + strings.ToUpper(string(e)) + "_NETWORK"
}

// useNetwork lets kind make a network for this cluster alone, which goes with
// it: kind's own stays for ever. Who has named another keeps that.
func (k *Kind) useNetwork() error {
	if os.Getenv(k.engine.networkVariable()) != "" {
		return nil
	}
	return os.Setenv(k.engine.networkVariable(), k.opts.Name)
}

// repository is where in the engine the node images of this cluster are.
func (k *Kind) repository() string { return "sealift.local/" + k.opts.Name }

// leftovers returns what the engine has for the nodes beside them: images by
// their names, and networks by their numbers.
func (k *Kind) leftovers(ctx context.Context) (images, networks []string, err error) {
	images, err = k.engine.output(ctx, nil, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference="+k.repository())
	if err != nil {
		return nil, nil, err
	}
	networks, err = k.engine.output(ctx, nil, "network", "ls", "--quiet", "--filter", "name=^"+k.opts.Name+"$")
	return images, networks, err
}

func (k *Kind) removeLeftovers(ctx context.Context) error {
	images, networks, err := k.leftovers(ctx)
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := k.engine.run(ctx, nil, "image", "rm", image); err != nil {
			return err
		}
	}
	for _, network := range networks {
		if err := k.engine.run(ctx, nil, "network", "rm", network); err != nil {
			return err
		}
	}
	return nil
}

// load gives the engine the node image, and returns the name that it has
// there: one that holds its digest, so that another image of the same tag is
// never taken for it.
func (k *Kind) load(ctx context.Context) (string, error) {
	if k.opts.From == nil {
		return k.opts.Image, nil
	}
	programs := NewImagePrograms(k.opts.From, nil, "")
	manifest, d, err := programs.manifest(ctx, k.opts.NodeImage)
	if err != nil {
		return "", fmt.Errorf("reading the node image %s: %w", k.opts.Image, err)
	}
	tag, err := name.NewTag(k.repository() + ":" + d.Digest.Encoded()[:32])
	if err != nil {
		return "", err
	}
	if k.engine.run(ctx, nil, "image", "inspect", tag.String()) == nil {
		return tag.String(), nil
	}
	image, err := partial.CompressedToImage(&remoteImage{ctx: ctx, from: k.opts.From, d: d, manifest: manifest})
	if err != nil {
		return "", err
	}
	if err := k.loadTar(ctx, tag, image); err != nil {
		return "", fmt.Errorf("loading the node image %s: %w", k.opts.Image, err)
	}
	return tag.String(), nil
}

// loadTar streams an image into the engine; nothing is written to this disk.
func (k *Kind) loadTar(ctx context.Context, tag name.Tag, image v1.Image) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := tarball.Write(tag, image, w)
		written <- errors.Join(err, w.CloseWithError(err))
	}()
	err := k.engine.run(ctx, r, "load")
	_ = r.CloseWithError(err) // a pipe's end never fails to close
	return errors.Join(err, <-written)
}

// remoteImage is an image of a bundle as go-containerregistry sees it. Every
// part is verified while it is read.
type remoteImage struct {
	ctx      context.Context //nolint:containedctx // the interface has no other way to learn of cancellation
	from     content.Fetcher
	d        content.Descriptor
	manifest *content.Manifest
}

var _ partial.CompressedImageCore = (*remoteImage)(nil)

// RawConfigFile returns the configuration.
func (i *remoteImage) RawConfigFile() ([]byte, error) {
	if i.manifest.Config == nil {
		return nil, ErrNoProgram
	}
	return content.ReadAll(i.ctx, i.from, *i.manifest.Config, content.MaxManifestSize)
}

// MediaType returns that of the manifest.
func (i *remoteImage) MediaType() (types.MediaType, error) {
	return types.MediaType(i.d.MediaType), nil
}

// RawManifest returns the manifest.
func (i *remoteImage) RawManifest() ([]byte, error) {
	return content.ReadAll(i.ctx, i.from, i.d, content.MaxManifestSize)
}

// LayerByDigest returns a layer.
func (i *remoteImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.manifest.Layers {
		if l.Digest.String() == h.String() {
			return &remoteLayer{image: i, d: l}, nil
		}
	}
	return nil, fmt.Errorf("layer %s: %w", h, content.ErrNotFound)
}

type remoteLayer struct {
	image *remoteImage
	d     content.Descriptor
}

// Digest returns the digest of the compressed layer.
func (l *remoteLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.d.Digest.String()) }

// Size returns the bytes of the compressed layer.
func (l *remoteLayer) Size() (int64, error) { return l.d.Size, nil }

// MediaType returns that of the layer.
func (l *remoteLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.d.MediaType), nil
}

// Compressed opens the layer.
func (l *remoteLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.image.from.Fetch(l.image.ctx, l.d)
	if err != nil {
		return nil, err
	}
	v, err := content.Verify(rc, l.d)
	if err != nil {
		return nil, errors.Join(err, rc.Close())
	}
	return &verified{v, rc}, nil
}

// verified is a layer that is checked when its end was read.
type verified struct {
	v  *content.Verifier
	rc io.Closer
}

// Read implements io.Reader.
func (r *verified) Read(p []byte) (int, error) {
	n, err := r.v.Read(p)
	if errors.Is(err, io.EOF) {
		if bad := r.v.Close(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// Close implements io.Closer.
func (r *verified) Close() error { return r.rc.Close() }
