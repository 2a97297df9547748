package definition_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/test/golden"
)

func lock() *definition.Lock {
	l := definition.NewLock([]definition.LockedImage{
		{Ref: "docker.io/library/nginx:1.27", Digest: "sha256:" + strings.Repeat("ab", 32), MediaType: "application/vnd.oci.image.index.v1+json", Size: 10229, Platforms: []string{"linux/amd64", "linux/arm64"},
			Referrers: []definition.LockedReferrer{{Subject: "sha256:" + strings.Repeat("ab", 32), Tag: "sha256-" + strings.Repeat("ab", 32) + ".sig",
				Digest: "sha256:" + strings.Repeat("ef", 32), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 558}}},
		{Ref: "quay.io/a/b:1@sha256:" + strings.Repeat("0c", 32), Digest: "sha256:" + strings.Repeat("0c", 32), MediaType: "application/vnd.docker.distribution.manifest.v2+json", Size: 527},
	})
	l.Charts = []definition.LockedChart{{Repo: "https://charts.example.org", Name: "prometheus", Asked: "^25.8", Version: "25.8.2", SHA256: strings.Repeat("12", 32)}}
	l.Files = []definition.LockedFile{{Path: "./node.ova", SHA256: strings.Repeat("34", 32), Size: 5 << 30}}
	return l
}

func TestLockFindsChartsAndFiles(t *testing.T) {
	c, ok := lock().FindChart("https://charts.example.org", "prometheus", "^25.8")
	require.True(t, ok)
	require.Equal(t, "25.8.2", c.Version)
	_, ok = lock().FindChart("https://charts.example.org", "prometheus", "^25.9")
	require.False(t, ok, "another range is another question")
	f, ok := lock().FindFile("./node.ova")
	require.True(t, ok)
	require.Equal(t, int64(5<<30), f.Size)
	_, ok = (*definition.Lock)(nil).FindFile("./node.ova")
	require.False(t, ok)
}

func TestLockGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.lock.yaml")
	require.NoError(t, lock().Save(path))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	golden.Equal(t, filepath.Join("testdata", "bundle.lock.yaml"), got)
	back, err := definition.LoadLock(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(lock(), back))
}

func TestLockSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bundle.lock.yaml")
	require.NoError(t, lock().Save(path))
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, lock().Save(path))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "the same lock is not written again")

	less := definition.NewLock(lock().Images[:1])
	require.NoError(t, less.Save(path))
	back, err := definition.LoadLock(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(less, back))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")

	err = lock().Save(filepath.Join(dir, "nothere", "bundle.lock.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "writing the lock ")
}

func TestLockFind(t *testing.T) {
	img, ok := lock().Find("docker.io/library/nginx:1.27")
	require.True(t, ok)
	require.Equal(t, int64(10229), img.Size)
	_, ok = lock().Find("nginx:1.27")
	require.False(t, ok)
	_, ok = (*definition.Lock)(nil).Find("docker.io/library/nginx:1.27")
	require.False(t, ok)
}

func TestLoadLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.lock.yaml")
	l, err := definition.LoadLock(path)
	require.NoError(t, err)
	require.Nil(t, l)
	require.NoError(t, os.WriteFile(path, []byte("kind: Bundle"), 0o600))
	_, err = definition.LoadLock(path)
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.ErrorContains(t, err, "lock "+path+": not valid:")
}

func TestParseLockTellsEveryProblem(t *testing.T) {
	_, err := definition.ParseLock([]byte(`apiVersion: v1
kind: Bundle
name: x
images:
- {ref: nginx, digest: "sha256:ab", mediaType: text/html, size: 0, platforms: [amd64]}
- {ref: "quay.io/a/b@sha256:` + strings.Repeat("0", 64) + `", digest: "sha256:` + strings.Repeat("1", 64) + `", mediaType: application/vnd.oci.image.index.v1+json, size: 5}
- {ref: "quay.io/a/b@sha256:` + strings.Repeat("0", 64) + `", digest: "sha256:` + strings.Repeat("0", 64) + `", mediaType: application/vnd.oci.image.index.v1+json, size: 5000000}
- {ref: "UPPER", digest: 5, mediaType: [], size: 1.5}
- {ref: "quay.io/a/c:1", digest: "sha256:` + strings.Repeat("0", 64) + `", mediaType: application/vnd.oci.image.index.v1+json, size: 5, referrers: [{subject: x}]}
charts: [{repo: a}]
files: [{path: a, sha256: b}]
`))
	require.ErrorIs(t, err, definition.ErrInvalid)
	want := []string{"not valid:",
		`images[3].digest: is a number, not a string: write it in quotes`,
		`images[3].mediaType: is a list, not a string`,
		`images[3].size: is a number, not a whole number`,
		`the file: has no field "name"; its fields are apiVersion, kind, images, charts, files`,
		`apiVersion: is "v1", not "sealift.dev/v1"`,
		`kind: is "Bundle", not "BundleLock"`,
		`images[0].ref: nginx is not in full: docker.io/library/nginx:latest`,
		`images[0].digest: "sha256:ab" is not a sha256 digest`,
		`images[0].mediaType: "text/html" is not that of a manifest or index`,
		`images[0].size: is 0`,
		`images[0].platforms[0]: "amd64" is not OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64`,
		`images[1].digest: sha256:` + strings.Repeat("1", 64) + ` is not the digest of the reference`,
		`images[2].size: is 5000000`,
		`images[2].ref: quay.io/a/b@sha256:` + strings.Repeat("0", 64) + ` stands twice`,
		`images[3].ref: "UPPER" is not an image reference: invalid reference format: repository name (library/UPPER) must be lowercase`,
		`images[4].referrers[0]: is not the digest, media type, size and subject of a manifest`,
		`charts[0]: needs repo, name, version and a sha256`,
		`files[0]: needs path, size and a sha256`,
	}
	require.Empty(t, cmp.Diff(want, strings.Split(err.Error(), "\n  ")))
}

func FuzzParseLock(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "bundle.lock.yaml"))
	require.NoError(f, err)
	f.Add(golden)
	f.Add([]byte("images: [null]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := definition.ParseLock(data)
		if err != nil {
			require.ErrorIs(t, err, definition.ErrInvalid)
			return
		}
		again, err := yaml.Marshal(l)
		require.NoError(t, err)
		back, err := definition.ParseLock(again)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(l, back, cmpopts.EquateEmpty()))
	})
}
