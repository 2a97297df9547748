package packs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2"
	orasfile "oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/test/registries"
)

// repository lets oras-go push a pack.
type repository struct{ *remote.Repository }

func (r repository) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	rc, err := r.Repository.Fetch(ctx, d)
	if errors.Is(err, errdef.ErrNotFound) {
		err = errors.Join(content.ErrNotFound, err)
	}
	return rc, err
}

func (r repository) PushBlob(ctx context.Context, d content.Descriptor, src io.ReaderAt, _ progress.Task) error {
	return r.Blobs().Push(ctx, d, io.NewSectionReader(src, 0, d.Size))
}

func (r repository) PushManifest(ctx context.Context, d content.Descriptor, data []byte, tags ...string) error {
	return r.Manifests().PushReference(ctx, d, strings.NewReader(string(data)), tags[0])
}

// repositoryOf returns the repository of a pack in a registry.
func repositoryOf(t *testing.T, host string, p *packs.Pack) repository {
	t.Helper()
	repo, err := remote.NewRepository(host + "/base/" + p.Repository())
	require.NoError(t, err)
	repo.PlainHTTP = true
	return repository{repo}
}

func artifactOf(t *testing.T, p *packs.Pack) *packs.Artifact {
	t.Helper()
	a, err := p.Artifact(t.Context())
	require.NoError(t, err)
	return a
}

func TestArtifact(t *testing.T) {
	p := open(t, "testdata/lantern")
	a := artifactOf(t, p)
	require.Equal(t, a.Manifest, artifactOf(t, open(t, "testdata/lantern")).Manifest, "the same files give the same bytes")
	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	require.NoError(t, err)
	require.Equal(t, artifact.TypePack, m.ArtifactType)
	require.Equal(t, map[string]string{"org.opencontainers.image.title": "lantern", "org.opencontainers.image.version": "2.4.0", "sealift.dev/pack.layer": "addon"}, m.Annotations)
	require.Len(t, m.Layers, len(p.Files()))
	for i, f := range p.Files() {
		l := m.Layers[i]
		require.Equal(t, f.Path, l.Annotations[ocispec.AnnotationTitle])
		data, err := content.ReadAll(t.Context(), a, l, 1<<20)
		require.NoError(t, err)
		require.Equal(t, contents(t, p)[f.Path], string(data))
	}
	_, err = content.ReadAll(t.Context(), a, *m.Config, 1<<10)
	require.NoError(t, err)
	rc, err := a.FetchRange(t.Context(), m.Layers[0], 2, 5)
	require.NoError(t, err)
	part, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.NoError(t, rc.Close())
	require.Equal(t, contents(t, p)[p.Files()[0].Path][2:7], string(part))
	_, err = a.FetchRange(t.Context(), m.Layers[0], 0, m.Layers[0].Size+1)
	require.Error(t, err)
	_, err = a.Fetch(t.Context(), content.Descriptor{Digest: digest.FromString("other"), Size: 5})
	require.ErrorIs(t, err, content.ErrNotFound)
}

// From folder and archive, through each registry, and back: the same files.
func TestThroughRegistries(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "lantern.tar.gz")
	require.NoError(t, open(t, "testdata/lantern").Build(t.Context(), archive, packs.BuildOptions{}))
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			for _, path := range []string{"testdata/lantern", archive, "testdata/keel", "testdata/tide"} {
				p := open(t, path)
				a, repo := artifactOf(t, p), repositoryOf(t, host, p)
				require.NoError(t, a.Push(t.Context(), repo, p.Tag(), packs.PushOptions{}))
				require.NoError(t, a.Push(t.Context(), repo, p.Tag(), packs.PushOptions{}), "again")
				d, err := repo.Resolve(t.Context(), p.Tag())
				require.NoError(t, err)
				require.Equal(t, a.Descriptor.Digest, d.Digest)
				back, err := packs.FromArtifact(t.Context(), repo, content.Bare(d))
				require.NoError(t, err)
				require.Equal(t, contents(t, p), contents(t, back))
				require.Equal(t, p.Meta, back.Meta)
				require.NoError(t, back.Close())
				pulled := t.TempDir()
				pullWithOras(t, repo, p.Tag(), pulled)
				require.Equal(t, contents(t, p), contents(t, open(t, pulled)))
			}
		})
	}
}

func pullWithOras(t *testing.T, repo repository, tag, dir string) {
	t.Helper()
	store, err := orasfile.New(dir)
	require.NoError(t, err)
	_, err = oras.Copy(t.Context(), repo.Repository, tag, store, tag, oras.DefaultCopyOptions)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}

func TestTagOfABuild(t *testing.T) {
	p := open(t, "testdata/keel")
	require.Equal(t, "1.30.4_k3s1", p.Tag())
	require.Equal(t, "spectro-packs/archive/keel", p.Repository())
}

// place is a place that holds what it is given.
type place map[digest.Digest][]byte

func (p place) add(data []byte) content.Descriptor {
	d := content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(data), Size: int64(len(data))}
	p[d.Digest] = data
	return d
}

func (p place) Fetch(_ context.Context, d content.Descriptor) (io.ReadCloser, error) {
	data, ok := p[d.Digest]
	if !ok {
		return nil, content.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(string(data))), nil
}

// manifest makes an artifact whose layers have these titles and contents.
func (p place) manifest(t *testing.T, artifactType string, titles []string, text map[string]string, change func(*ocispec.Manifest)) content.Descriptor {
	t.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Config: p.add([]byte("{}"))}
	m.SchemaVersion = 2
	for _, title := range titles {
		l := p.add([]byte(text[title]))
		l.Annotations = map[string]string{ocispec.AnnotationTitle: title}
		m.Layers = append(m.Layers, l)
	}
	if change != nil {
		change(&m)
	}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	d := p.add(data)
	d.MediaType = ocispec.MediaTypeImageManifest
	return d
}

func TestHostileArtifacts(t *testing.T) {
	good := map[string]string{"pack.json": small(""), "values.yaml": ""}
	titles := func(more ...string) []string { return append(slices.Sorted(maps.Keys(good)), more...) }
	for name, c := range map[string]struct {
		kind   string
		titles []string
		change func(*ocispec.Manifest)
		want   error
		text   string
	}{
		"another type":     {artifact.TypeFile, titles(), nil, packs.ErrInvalid, artifact.TypeFile},
		"an image":         {"", titles(), nil, packs.ErrInvalid, "it has the type"},
		"no pack.json":     {artifact.TypePack, []string{"values.yaml"}, nil, packs.ErrInvalid, "no pack.json"},
		"no title":         {artifact.TypePack, titles(""), nil, packs.ErrInvalid, `title ""`},
		"a dot":            {artifact.TypePack, titles("."), nil, packs.ErrInvalid, `title "."`},
		"an unclean title": {artifact.TypePack, titles("a//b"), nil, packs.ErrInvalid, `title "a//b"`},
		"up":               {artifact.TypePack, titles("../../outside"), nil, packs.ErrUnsafe, `"../../outside"`},
		"absolute":         {artifact.TypePack, titles("/tmp/outside"), nil, packs.ErrUnsafe, `"/tmp/outside"`},
		"backslashes":      {artifact.TypePack, titles(`a\b`), nil, packs.ErrUnsafe, `a\\b`},
		"twice":            {artifact.TypePack, titles("pack.json"), nil, packs.ErrInvalid, "pack.json stands twice"},
		"file and folder":  {artifact.TypePack, titles("pack.json/x"), nil, packs.ErrInvalid, "pack.json"},
		"10 GiB":           {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers[0].Size = 10 << 30 }, content.ErrTooLarge, "more than 512 MiB"},
		"sum overflows":    {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers[1].Size = 1<<63 - 1 }, content.ErrTooLarge, "more than 512 MiB"},
		"too many":         {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers = slices.Repeat(m.Layers[:1], 10_001) }, content.ErrTooLarge, "more than 10000"},
		"shorter":          {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers[0].Size++ }, content.ErrMismatch, ""},
		"longer":           {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers[0].Size-- }, content.ErrMismatch, ""},
		"a layer missing": {artifact.TypePack, titles(), func(m *ocispec.Manifest) { m.Layers[0].Digest = digest.FromString("missing") },
			content.ErrNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			temp := ownTemp(t)
			at := place{}
			d := at.manifest(t, c.kind, c.titles, good, c.change)
			_, err := packs.FromArtifact(t.Context(), at, d)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			requireEmpty(t, temp)
		})
	}
	require.NoFileExists(t, "/tmp/outside")
}

func TestArtifactThatWasReplaced(t *testing.T) {
	temp := ownTemp(t)
	at := place{}
	good := map[string]string{"pack.json": small(""), "values.yaml": "a: 1\n"}
	d := at.manifest(t, artifact.TypePack, slices.Sorted(maps.Keys(good)), good, nil)
	p, err := packs.FromArtifact(t.Context(), at, d)
	require.NoError(t, err)
	require.Equal(t, good, contents(t, p))
	require.NoError(t, p.Close())
	at[digest.FromString("a: 1\n")] = []byte("a: 2\n")
	_, err = packs.FromArtifact(t.Context(), at, d)
	require.ErrorIs(t, err, content.ErrMismatch)
	at[d.Digest] = append(at[d.Digest][:d.Size-1], ' ')
	_, err = packs.FromArtifact(t.Context(), at, d)
	require.ErrorIs(t, err, content.ErrMismatch)
	requireEmpty(t, temp)
}

// failing is a repository that loses a blob.
type failing struct {
	repository
	tagged *bool
}

func (f failing) PushBlob(context.Context, content.Descriptor, io.ReaderAt, progress.Task) error {
	return errors.New("no room")
}

func (f failing) PushManifest(context.Context, content.Descriptor, []byte, ...string) error {
	*f.tagged = true
	return nil
}

func TestNoTagWhenAFileIsMissing(t *testing.T) {
	p := open(t, "testdata/tide")
	tagged := false
	host := registries.Host(registries.Distribution(t, registries.Options{}))
	err := artifactOf(t, p).Push(t.Context(), failing{repositoryOf(t, host, p), &tagged}, p.Tag(), packs.PushOptions{Jobs: 1})
	require.ErrorContains(t, err, "no room")
	require.False(t, tagged)
}

func TestFileThatChanges(t *testing.T) {
	dir := write(t, map[string]string{"pack.json": small(""), "values.yaml": "a: 1\n"})
	p := open(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "values.yaml"), []byte("a: 12\n"), 0o600))
	_, err := p.Artifact(t.Context())
	require.ErrorContains(t, err, "values.yaml")
	require.Error(t, p.Build(t.Context(), filepath.Join(t.TempDir(), "p.tar.gz"), packs.BuildOptions{}))
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	p := open(t, "testdata/lantern")
	one, two := filepath.Join(dir, "one.tar.gz"), filepath.Join(dir, "two.tgz")
	require.NoError(t, p.Build(t.Context(), one, packs.BuildOptions{}))
	// Other times and modes, and read from the archive: the same bytes.
	other := t.TempDir()
	require.NoError(t, os.CopyFS(other, os.DirFS("testdata/lantern")))
	require.NoError(t, os.Chmod(filepath.Join(other, "pack.json"), 0o755))
	require.NoError(t, open(t, other).Build(t.Context(), two, packs.BuildOptions{}))
	first, err := os.ReadFile(one)
	require.NoError(t, err)
	for _, path := range []string{other, one} {
		require.NoError(t, open(t, path).Build(t.Context(), two, packs.BuildOptions{Overwrite: true}))
		second, err := os.ReadFile(two)
		require.NoError(t, err)
		require.Equal(t, first, second)
	}
	require.Equal(t, contents(t, p), contents(t, open(t, one)))

	require.ErrorIs(t, p.Build(t.Context(), one, packs.BuildOptions{}), fs.ErrExist)
	require.ErrorContains(t, p.Build(t.Context(), filepath.Join(dir, "p.zip"), packs.BuildOptions{}), "written as .tar.gz")
	require.ErrorContains(t, p.Build(t.Context(), filepath.Join(dir, "nofolder", "p.tgz"), packs.BuildOptions{}), "nofolder")
	inside := filepath.Join(other, "charts", "p.tar.gz")
	require.ErrorContains(t, open(t, other).Build(t.Context(), inside, packs.BuildOptions{}), "would lie within the pack")
	require.NoFileExists(t, inside)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing half-written stays")
}
