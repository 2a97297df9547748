package sbom

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg/cataloger/alpine"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/progress"
)

// layers returns a reader of these layers, which are given as their bytes.
func layersOf(t testing.TB, lim limits, layers ...string) (*layerReader, []content.Descriptor) {
	t.Helper()
	blobs := blobs{}
	var descs []content.Descriptor
	for _, l := range layers {
		d := content.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString(l), Size: int64(len(l))}
		blobs[d.Digest] = l
		descs = append(descs, d)
	}
	r := &layerReader{bundle: blobs, limits: lim, tempDir: t.TempDir(), phase: progress.None{}, uses: map[digest.Digest]int{}, open: map[digest.Digest]*layer{}}
	t.Cleanup(r.close)
	for _, d := range descs {
		r.use(d)
	}
	return r, descs
}

// fs returns the file system of an image of these layers.
func fsOf(t testing.TB, layers ...string) *resolver {
	t.Helper()
	r, descs := layersOf(t, defaultLimits(), layers...)
	tree := newTree()
	for i, d := range descs {
		l, err := r.layer(t.Context(), d)
		require.NoError(t, err)
		tree.put(l, i)
	}
	tree.finish()
	return &resolver{ctx: t.Context(), tree: tree, layers: descs}
}

func (r *resolver) read(t testing.TB, path string) string {
	t.Helper()
	rc, err := r.FileContentsByLocation(file.NewLocation(path))
	require.NoError(t, err, path)
	data, err := io.ReadAll(rc)
	require.NoError(t, err)
	return string(data)
}

func TestLayersHideWhatIsBelow(t *testing.T) {
	r := fsOf(t,
		files(t, map[string]string{"a/1": "one", "a/2": "two", "b/x/y": "deep", "c": "old", "d/": "", "e/f": "file", "same/as": "before"}),
		gzipped(t, files(t, map[string]string{"a/.wh.1": "", "b/.wh..wh..opq": "", "b/new": "new", "c": "now", "e": "a file now", "./g": "dot", "../up": "up"})),
		files(t, map[string]string{".wh.d": "", "h": "= a/2", "i": "= nowhere"}))
	require.Equal(t, []string{"a/2", "b/new", "c", "e", "g", "h", "same/as", "up"}, r.tree.paths)
	require.Equal(t, "now", r.read(t, "/c"))
	require.Equal(t, "two", r.read(t, "/h"), "a hard link to a file of a lower layer")
	require.False(t, r.HasPath("/d"))
	require.False(t, r.HasPath("/b/x"))
	require.True(t, r.HasPath("/b"))
}

func TestOpaqueFolderKeepsWhatItsOwnLayerHas(t *testing.T) {
	r := fsOf(t, files(t, map[string]string{"b/old": ""}), files(t, map[string]string{"b/.a": "stands before the mark", "b/.wh..wh..opq": ""}))
	require.Equal(t, []string{"b/.a"}, r.tree.paths)
}

func TestLinksAreFollowed(t *testing.T) {
	r := fsOf(t, files(t, map[string]string{"usr/lib/os-release": "ID=x", "etc/os-release": "-> ../usr/lib/os-release", "lib": "-> usr/lib",
		"loop": "-> loop", "out": "-> ../../../../usr/lib/os-release", "none": "-> missing", "dir": "-> /usr"}))
	for _, p := range []string{"/etc/os-release", "/lib/os-release", "/out", "/dir/lib/os-release", "etc/../lib/os-release"} {
		require.Equal(t, "ID=x", r.read(t, p), p)
	}
	for _, p := range []string{"/loop", "/none", "/lib/none", "/usr/lib/os-release/below", "/usr"} {
		_, err := r.FileContentsByLocation(file.NewLocation(p))
		require.ErrorIs(t, err, os.ErrNotExist, p)
	}
	found, err := r.FilesByPath("/etc/os-release", "/usr/lib/os-release")
	require.NoError(t, err)
	require.Len(t, found, 1, "one file under two names")
	require.Equal(t, "/usr/lib/os-release", found[0].RealPath)
}

func TestFilesByGlob(t *testing.T) {
	r := fsOf(t, files(t, map[string]string{"var/lib/dpkg/status": "", "opt/a.jar": "", "opt/b/c.jar": "", "opt/b.jar/d": "", "x": "\x7fELF is not enough"}))
	for pattern, want := range map[string]int{"**/lib/dpkg/status": 1, "/var/lib/dpkg/status": 1, "**/*.jar": 2, "**/{a,c}.jar": 2, "**/opt/a.jar": 1, "**": 5, "none": 0} {
		found, err := r.FilesByGlob(pattern)
		require.NoError(t, err, pattern)
		require.Len(t, found, want, pattern)
	}
	_, err := r.FilesByGlob("a[")
	require.Error(t, err)
}

func TestOnlyWhatIsWantedIsKept(t *testing.T) {
	large := strings.Repeat("large", 1<<20)
	layers, descs := layersOf(t, defaultLimits(), files(t, map[string]string{"data": large, "var/lib/rpm/rpmdb.sqlite": large, "lib.so": "\x7fELF" + large}))
	var err error
	layers.wanted, err = wantedBy(t.Context(), catalogers(t.TempDir()))
	require.NoError(t, err)
	l, err := layers.layer(t.Context(), descs[0])
	require.NoError(t, err)
	for _, e := range l.entries {
		require.Equal(t, e.path != "/data", e.node.content != nil, e.path)
	}
}

func TestDatabaseThatIsTooLargeIsAWarning(t *testing.T) {
	lim := defaultLimits()
	lim.large = 1 << 20
	layers, descs := layersOf(t, lim, files(t, map[string]string{"lib/apk/db/installed": strings.Repeat("P:musl\n", 1<<18)}))
	l, err := layers.layer(t.Context(), descs[0])
	require.NoError(t, err)
	tree := newTree()
	tree.put(l, 0)
	tree.finish()
	_, err = catalog(t.Context(), alpine.NewDBCataloger(), &resolver{ctx: t.Context(), tree: tree, layers: descs})
	require.ErrorContains(t, err, content.ErrTooLarge.Error())
}

func TestLayersHaveLimits(t *testing.T) {
	lim := limits{entries: 10, free: 1 << 20, ratio: 10, small: 1 << 20, large: 1 << 20}
	many := map[string]string{}
	for i := range 11 {
		many[strings.Repeat("x", i+1)] = ""
	}
	for name, data := range map[string]string{
		"many files":    files(t, many),
		"zeros in gzip": gzipped(t, files(t, map[string]string{"zeros": strings.Repeat("\x00", 4<<20)})),
		"zeros in zstd": zstandard(t, files(t, map[string]string{"zeros": strings.Repeat("\x00", 4<<20)})),
		"after the end": gzipped(t, files(t, nil)+strings.Repeat("\x00", 4<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			r, descs := layersOf(t, lim, data)
			_, err := r.layer(t.Context(), descs[0])
			if name == "after the end" { // it is not unpacked
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrBomb)
		})
	}
}

func zstandard(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	z, err := zstd.NewWriter(&buf)
	require.NoError(t, err)
	_, err = z.Write([]byte(data))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return buf.String()
}

func TestMakeReadsRPM(t *testing.T) {
	rpm := filepath.Join(module(t, "github.com/anchore/go-rpmdb"), "pkg", "testdata")
	for name, want := range map[string]string{
		"rockylinux-9/rpmdb.sqlite": "bash 5.1.8-6.el9_1: GPLv3+",
		"libuuid/Packages":          "libuuid 2.32.1-42.el8_8: BSD",
		"sle15-bci/Packages.db":     "bash 4.4-19.6.1: GPL-3.0-or-later",
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(rpm, name))
			require.NoError(t, err)
			b := archivetest.New(t)
			b.Root("docker.io/library/image:1", b.Image("amd64", gzipped(t, files(t, map[string]string{"var/lib/rpm/" + filepath.Base(name): string(data),
				"etc/os-release": "ID=rhel\nVERSION_ID=9\n"}))))
			r := makeOf(t, b)
			require.Empty(t, r.Warnings)
			require.Contains(t, lines(r), want)
			require.Contains(t, string(r.SPDX), "pkg:rpm/redhat/")
		})
	}
}

func TestMakeReadsJava(t *testing.T) {
	jar := func(contents map[string]string) string {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		for name, text := range contents {
			w, err := z.Create(name)
			require.NoError(t, err)
			_, err = w.Write([]byte(text))
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		return buf.String()
	}
	log4j := jar(map[string]string{"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": "#Created\nversion=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n",
		"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nBundle-License: Apache-2.0\r\n"})
	b := archivetest.New(t)
	b.Root("docker.io/team/java:1", b.Image("amd64", files(t, map[string]string{"app/app-1.0.jar": jar(map[string]string{"BOOT-INF/lib/log4j-core-2.14.1.jar": log4j}),
		"app/broken.jar": "no zip", "app/plain-3.2.jar": jar(nil)})))
	r := makeOf(t, b)
	require.Equal(t, []string{"org.apache.logging.log4j:log4j-core 2.14.1: Apache-2.0", "plain 3.2: unknown"}, lines(r))
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "broken.jar")
	require.Contains(t, string(r.CycloneDX), "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1")
}

func TestMakeReadsAlpineAndOthers(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/alpine:3", b.Image("amd64", files(t, map[string]string{
		"etc/os-release":        "ID=alpine\nVERSION_ID=3.20.1\n",
		"lib/apk/db/installed":  "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n\n",
		"app/node/package.json": `{"name":"left-pad","version":"1.3.0","license":"WTFPL"}`,
		"usr/lib/python3/site-packages/requests-2.32.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: requests\nVersion: 2.32.0\nLicense: Apache-2.0\n\n",
	})))
	r := makeOf(t, b)
	require.Empty(t, r.Warnings)
	require.Equal(t, []string{"left-pad 1.3.0: WTFPL", "musl 1.2.5-r0: MIT", "requests 2.32.0: Apache-2.0"}, lines(r))
}

func TestNamesCannotActOnATerminal(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", files(t, map[string]string{"p/package.json": `{"name":"a\u001b[2Jb\tc","version":"1\n2","license":"x\u0007y"}`})))
	require.Equal(t, []string{"a[2Jbc 12: xy"}, lines(makeOf(t, b)))
}

// blobs are contents by digest.
type blobs map[digest.Digest]string

func FuzzLayer(f *testing.F) {
	f.Add([]byte(files(f, map[string]string{"a": "b", ".wh.c": "", "d": "-> a", "e": "= a"})))
	f.Add([]byte(gzipped(f, files(f, map[string]string{"var/lib/dpkg/status": "Package: a\n\n"}))))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, descs := layersOf(t, limits{entries: 100, free: 1 << 20, ratio: 10, small: 1 << 20, large: 1 << 20}, string(data))
		l, err := r.layer(t.Context(), descs[0])
		if err != nil {
			return
		}
		tree := newTree()
		tree.put(l, 0)
		tree.finish()
		for _, p := range tree.paths {
			require.NotContains(t, strings.Split(p, "/"), "..")
		}
	})
}

func FuzzDecodeDeclared(f *testing.F) {
	f.Add([]byte(someSPDX), "application/spdx+json")
	f.Add([]byte(someCycloneDX), "application/vnd.cyclonedx+json")
	f.Add([]byte(dsse(f, inToto(f, predicateSPDX, someSPDX, content.Descriptor{Digest: "sha256:00"}))), mediaTypeDSSE)
	f.Fuzz(func(_ *testing.T, data []byte, mediaType string) {
		if packs, err := decodeDeclared(data, mediaType, "sha256:00"); err == nil {
			normalize(packs)
		}
	})
}

func (b blobs) Fetch(_ context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(b[d.Digest])), nil
}
