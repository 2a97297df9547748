package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// joined returns the bytes of all volumes of a path, in order.
func joined(t *testing.T, path string) []byte {
	names, err := location.Volumes(path)
	require.NoError(t, err)
	var out []byte
	for _, n := range names {
		data, err := os.ReadFile(n)
		require.NoError(t, err)
		out = append(out, data...)
	}
	return out
}

func TestVolumesAreTheSameBytes(t *testing.T) {
	b := archivetest.Sample(t)
	want, err := os.ReadFile(b.Write())
	require.NoError(t, err)
	for _, size := range []int64{100, 512, 4000, int64(len(want)) - 1, int64(len(want)), 1 << 40} {
		path := b.WriteVolumes(size)
		require.True(t, bytes.Equal(want, joined(t, path)), "volumes of %d", size)
		faults, err := archivetest.Open(t, path).Verify(t.Context(), archive.VerifyOptions{})
		require.NoError(t, err)
		require.Empty(t, faults)
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, left, (len(want)+int(size)-1)/int(size))
	}
}

// TestVolumesResume interrupts a run inside a blob, and then, at every point,
// the run that gives the volumes their names.
func TestVolumesResume(t *testing.T) {
	b := archivetest.New(t)
	big := strings.Repeat("0123456789abcdef", 1<<10)
	b.Root("docker.io/library/big:1", b.Image("amd64", big, "small"))
	want, err := os.ReadFile(b.Write())
	require.NoError(t, err)
	const size = 6000
	opts := archive.CreateOptions{VolumeSize: size}

	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), opts)
	require.NoError(t, err)
	bw, err := w.Blob(w.Pending()[0])
	require.NoError(t, err)
	_, err = bw.Write([]byte(big[:10_001]))
	require.NoError(t, err)
	require.NoError(t, w.Close())

	w, err = archive.Create(path, b.Layout(), opts)
	require.NoError(t, err)
	require.Greater(t, w.Resumed(), int64(10_001))
	b.Fill(w)
	require.NoError(t, w.Close())
	journal, err := os.ReadFile(path + ".journal")
	require.NoError(t, err)
	w, err = archive.Create(path, b.Layout(), opts)
	require.NoError(t, err)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
	require.True(t, bytes.Equal(want, joined(t, path)))

	names, err := location.Volumes(path)
	require.NoError(t, err)
	require.Greater(t, len(names), 3)
	for renamed := range names { // so many, the last ones, had their names
		for _, n := range names[:len(names)-renamed] {
			require.NoError(t, os.Rename(n, n+".partial"))
		}
		require.NoError(t, os.WriteFile(path+".journal", journal, 0o644))
		require.Equal(t, renamed < len(names), location.Finishing(path))
		there, err := location.Exists(t.Context(), path, location.Options{})
		require.NoError(t, err)
		require.False(t, there, "it is not whole yet")
		w, err := archive.Create(path, b.Layout(), opts)
		require.NoError(t, err)
		require.Empty(t, w.Pending())
		require.NoError(t, w.Finish([]byte(archivetest.Signature)))
		require.True(t, bytes.Equal(want, joined(t, path)))
		require.NoFileExists(t, path+".journal")
	}
}

// TestAnotherCutStartsOver leaves nothing of the first one.
func TestAnotherCutStartsOver(t *testing.T) {
	b := archivetest.Sample(t)
	want, err := os.ReadFile(b.Write())
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "out.tar")
	for _, size := range []int64{3000, 5000, 0} {
		w, err := archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: size})
		require.NoError(t, err)
		require.NotEmpty(t, w.Pending())
		require.NoError(t, w.Close())
	}
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: 4000})
	require.NoError(t, err)
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
	require.True(t, bytes.Equal(want, joined(t, path)))
	names, err := location.Volumes(path)
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, len(names))
}

// TestTooManyVolumesKeepWhatIsThere: a mistyped size costs nothing that was fetched.
func TestTooManyVolumesKeepWhatIsThere(t *testing.T) {
	b := archivetest.Sample(t)
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	require.NoError(t, w.Close())
	_, err = archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: 3})
	require.Equal(t, problem.Usage, problem.KindOf(err))
	w, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	require.Empty(t, w.Pending())
	require.NoError(t, w.Close())
}

// TestOtherWritersAreRefused covers a copy to the name of a bundle that is being made.
func TestOtherWritersAreRefused(t *testing.T) {
	b := archivetest.Sample(t)
	for _, size := range []int64{0, 4000} {
		path := filepath.Join(t.TempDir(), "out.tar")
		w, err := archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: size})
		require.NoError(t, err)
		for _, other := range []int64{0, 4000, 5000} {
			_, err = location.Create(t.Context(), path, 100, location.CreateOptions{VolumeSize: other})
			require.ErrorIs(t, err, location.ErrBusy)
		}
		b.Fill(w)
		require.NoError(t, w.Finish([]byte(archivetest.Signature)))
		require.NoError(t, faultOf(t, b, path))
	}
}

// TestDamagedVolumeIsNamed flips one bit of every volume, in turn.
func TestDamagedVolumeIsNamed(t *testing.T) {
	b := archivetest.Sample(t)
	b.Root("docker.io/library/large:1", b.Image("amd64", strings.Repeat("a", 7000), strings.Repeat("b", 7000), strings.Repeat("c", 7000), strings.Repeat("d", 7000)))
	const size = 8000
	path := b.WriteVolumes(size)
	names, err := location.Volumes(path)
	require.NoError(t, err)
	for _, name := range names {
		good, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 0x40
			require.NoError(t, os.WriteFile(name, bad, 0o644))
			require.ErrorContains(t, faultOf(t, b, path), filepath.Base(name), "byte %d of %s", at, name)
		}
		require.NoError(t, os.WriteFile(name, good, 0o644))
	}
	require.NoError(t, faultOf(t, b, path))

	// Two volumes of the same size that were mixed up.
	second, third := names[len(names)-3], names[len(names)-2]
	require.NoError(t, os.Rename(second, path))
	require.NoError(t, os.Rename(third, second))
	require.NoError(t, os.Rename(path, third))
	err = faultOf(t, b, path)
	require.ErrorContains(t, err, filepath.Base(second))
	require.ErrorContains(t, err, filepath.Base(third))
}

// exactly is a verifier of one statement.
type exactly []byte

// Verify implements archive.Verifier.
func (e exactly) Verify(payload, signature []byte) error {
	if !bytes.Equal(payload, e) {
		return errors.New("not what was signed")
	}
	return archivetest.Verifier{}.Verify(payload, signature)
}

// faultOf opens and verifies a bundle and returns all that is wrong with it.
func faultOf(t *testing.T, b *archivetest.Builder, path string) error {
	h, err := archive.Open(t.Context(), path, location.Options{})
	if err != nil {
		return err
	}
	defer h.Close()
	r, err := h.Authenticate(exactly(b.Layout().StatementBytes()))
	if err != nil {
		return err
	}
	faults, err := r.Verify(t.Context(), archive.VerifyOptions{})
	require.NoError(t, err)
	var text []string
	for _, f := range faults {
		text = append(text, f.Error())
	}
	if len(text) == 0 {
		return nil
	}
	return problem.New(problem.Verification, "", "%w: %s", content.ErrMismatch, strings.Join(text, "; "))
}

// TestStream checks that a bundle written from beginning to end is the same.
func TestStream(t *testing.T) {
	b := archivetest.Sample(t)
	want, err := os.ReadFile(b.Write())
	require.NoError(t, err)
	fetch := func(change func([]byte) []byte) ([]byte, error) {
		var out bytes.Buffer
		err := b.Layout().Stream(t.Context(), &out, []byte(archivetest.Signature), func(_ context.Context, blob archive.Blob, w io.Writer) error {
			_, err := w.Write(change(bytes.Clone(b.Data[blob.Digest])))
			return err
		})
		return out.Bytes(), err
	}
	got, err := fetch(func(p []byte) []byte { return p })
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	for name, change := range map[string]func([]byte) []byte{
		"short": func(p []byte) []byte { return p[:len(p)/2] },
		"long":  func(p []byte) []byte { return append(p, 0) },
		"other": func(p []byte) []byte {
			if len(p) > 0 {
				p[0] ^= 1
			}
			return p
		},
	} {
		_, err := fetch(change)
		require.ErrorIs(t, err, content.ErrMismatch, name)
	}
}

// A bundle that cannot be made because a copy of another cut is under way leaves
// that one alone.
func TestACopyUnderWayIsLeftAlone(t *testing.T) {
	b := archivetest.Sample(t)
	for _, size := range []int64{0, 4000} {
		path := filepath.Join(t.TempDir(), "out.tar")
		w, err := location.Create(t.Context(), path, 10_000, location.CreateOptions{VolumeSize: 4000 - size})
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 10_000))
		require.NoError(t, err)
		_, err = archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: size})
		require.ErrorIs(t, err, location.ErrBusy)
		require.NoError(t, w.Commit())
	}
}

// A journal speaks of the bytes that it was written for, and not of those that
// somebody else writes under the same name: a copy that is killed would leave
// zeros for it to speak of.
func TestAJournalOfOtherBytes(t *testing.T) {
	b := archivetest.Sample(t)
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	require.NoError(t, w.Close()) // interrupted before its end
	require.FileExists(t, path+".journal")
	c, err := location.Create(t.Context(), path, b.Layout().Size(), location.CreateOptions{})
	require.NoError(t, err)
	require.NoFileExists(t, path+".journal")
	require.NoError(t, c.Close())
}
