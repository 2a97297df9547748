package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/registry"
)

// What a pushed bundle leaves in the registry besides its content: its head
// (statement and signature) and its manifests, as an artifact of two layers.
const (
	typeHead      = "application/vnd.sealift.bundle.head.v1"
	mediaHead     = "application/vnd.sealift.bundle.head.v1+tar"
	mediaManifest = "application/vnd.sealift.bundle.manifests.v1"
	headsRef      = "sealift.local/bundles:heads" // of which the repository is taken

	annotationName      = "dev.sealift.bundle.name"
	annotationVersion   = "dev.sealift.bundle.version"
	annotationStatement = "dev.sealift.bundle.statement"
	annotationSize      = "dev.sealift.bundle.size"
)

// Most of what is read: heads are a few hundred bytes a blob.
const (
	maxHead  = 128 << 20
	maxHeads = 200 // bundles
)

// ErrNoHead means: no bundle of that tag was pushed.
var ErrNoHead = errors.New("the registry has no such bundle")

// PushedBundle is a bundle that was pushed into a registry, as its head there
// says. Nothing of it is believed before OpenPushed has checked the signature.
type PushedBundle struct {
	Tag       string        `json:"tag"` // by which OpenPushed knows it
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Statement digest.Digest `json:"statement"`
}

// CarriesRelease tells whether a bundle is one that clusters are installed from
// and upgraded to: it has the file that says what is installed.
func CarriesRelease(bundle *archive.Reader) bool {
	return slices.ContainsFunc(bundle.Statement().Roots, func(r archive.Root) bool {
		name, _, _ := strings.Cut(path.Base(r.Reference), ":")
		return r.Kind == archive.RootFile && name == "release.yaml"
	})
}

// KeepHead leaves the head of a bundle in the registry that it was pushed to,
// so that the bundle can be read from there. Do it after the push: who finds a
// head may expect the content.
func KeepHead(ctx context.Context, bundle *archive.Reader, client *registry.Client, host string, m *Mapping) error {
	repo, err := heads(client, host, m)
	if err != nil {
		return err
	}
	a, err := headArtifact(ctx, bundle)
	if err != nil {
		return fmt.Errorf("reading the head of the bundle: %w", err)
	}
	s := bundle.Statement()
	tag := headTag(s.Name, s.Version)
	for d, data := range a.Blobs {
		blob := content.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(data))}
		if err := repo.Push(ctx, blob, bytes.NewReader(data)); err != nil {
			return fmt.Errorf("keeping the head of bundle %s %s: %w", s.Name, s.Version, err)
		}
	}
	if err := repo.PushManifest(ctx, a.Descriptor, a.Manifest, tag); err != nil {
		return fmt.Errorf("keeping the head of bundle %s %s: %w", s.Name, s.Version, err)
	}
	return nil
}

// HasHead tells whether the registry has the head of a bundle.
func HasHead(ctx context.Context, bundle *archive.Reader, client *registry.Client, host string, m *Mapping) (bool, error) {
	repo, err := heads(client, host, m)
	if err != nil {
		return false, err
	}
	h, err := readHeadManifest(ctx, repo, headTag(bundle.Statement().Name, bundle.Statement().Version))
	if errors.Is(err, ErrNoHead) || problem.KindOf(err) == problem.Verification {
		return false, nil
	}
	return err == nil && h.bundle.Statement == bundle.StatementDigest(), err
}

// headTag is the tag of a bundle's head.
func headTag(name, version string) string {
	tag := regexp.MustCompile(`[^A-Za-z0-9_.-]`).ReplaceAllString(name+"-"+version, "_")
	return tag[:min(len(tag), 128)]
}

func heads(client *registry.Client, host string, m *Mapping) (*registry.Repository, error) {
	repository, _, err := m.Repository(headsRef)
	if err != nil {
		return nil, err
	}
	return client.Repository(host + "/" + repository)
}

// headArtifact has the head, and all manifests in the order of the bundle.
func headArtifact(ctx context.Context, bundle *archive.Reader) (*artifact.Artifact, error) {
	head, err := bundle.Head()
	if err != nil {
		return nil, err
	}
	s := bundle.Statement()
	var manifests []byte
	for _, b := range documents(s) {
		_, data, err := bundle.Document(ctx, b.Digest)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, data...)
	}
	return artifact.New(typeHead, []artifact.Layer{artifact.Bytes(mediaHead, "head", head), artifact.Bytes(mediaManifest, "manifests", manifests)},
		artifact.Options{Annotations: map[string]string{annotationName: s.Name, annotationVersion: s.Version,
			annotationStatement: bundle.StatementDigest().String(), annotationSize: strconv.FormatInt(bundle.Size(), 10)}})
}

// documents are the manifests and indexes of a bundle, in the order of its payload.
func documents(s *archive.Statement) []archive.Blob {
	out := slices.DeleteFunc(slices.Clone(s.Blobs), func(b archive.Blob) bool { return !content.IsManifest(b.MediaType) })
	slices.SortFunc(out, func(a, b archive.Blob) int { return int(a.Offset - b.Offset) })
	return out
}

// Pushed lists the bundles whose heads a registry has, by tag. What else is
// tagged there, as registries that sign do, is left out.
func Pushed(ctx context.Context, client *registry.Client, host string, m *Mapping) ([]PushedBundle, error) {
	repo, err := heads(client, host, m)
	if err != nil {
		return nil, err
	}
	tags, err := repo.Tags(ctx, maxHeads)
	if errors.Is(err, content.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the bundles of %s: %w", host, err)
	}
	slices.Sort(tags)
	var out []PushedBundle
	for _, tag := range tags {
		h, err := readHeadManifest(ctx, repo, tag)
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, h.bundle)
	}
	return out, nil
}

// headManifest is what the registry says of a head.
type headManifest struct {
	bundle          PushedBundle
	size            int64 // of the whole bundle
	head, manifests content.Descriptor
}

func readHeadManifest(ctx context.Context, repo *registry.Repository, tag string) (*headManifest, error) {
	d, err := repo.Resolve(ctx, tag)
	if errors.Is(err, content.ErrNotFound) {
		return nil, problem.New(problem.Usage, "push the bundle first", "bundle %s in %s: %w", tag, repo.Name(), ErrNoHead)
	}
	if err != nil {
		return nil, err
	}
	data, err := content.ReadAll(ctx, repo, d, content.MaxManifestSize)
	if err != nil {
		return nil, fmt.Errorf("reading the head of bundle %s: %w", tag, err)
	}
	return parseHeadManifest(tag, d, data)
}
