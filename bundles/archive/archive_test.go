package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

func TestRoundTrip(t *testing.T) {
	b := archivetest.Sample(t)
	path := b.Write()
	r := archivetest.Open(t, path)
	faults, err := r.Verify(t.Context(), archive.VerifyOptions{})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Empty(t, cmp.Diff(b.Layout().Statement, r.Statement()))
	for d, want := range b.Data {
		blob, ok := r.Blob(d)
		require.True(t, ok)
		got, err := content.ReadAll(t.Context(), r, blob.Descriptor(), 1<<20)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	require.NoFileExists(t, path+".partial")
	require.NoFileExists(t, path+".journal")
}

func TestTarReadsTheFile(t *testing.T) {
	path := archivetest.Sample(t).Write()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	tr := tar.NewReader(f)
	var names []string
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.EqualValues(t, 0o644, h.Mode)
		require.Equal(t, int64(0), h.ModTime.Unix())
		sum := digest.Canonical.Digester()
		_, err = io.Copy(sum.Hash(), tr)
		require.NoError(t, err)
		if len(names) >= 5 {
			require.Equal(t, "blobs/sha256/"+sum.Digest().Encoded(), h.Name)
		}
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"oci-layout", "index.json", "manifest.json", "sealift/statement.json", "sealift/statement.json.sig"}, names[:5])
}

func TestSameBytesInAnyOrder(t *testing.T) {
	a := archivetest.Sample(t)
	b := archivetest.Sample(t)
	for i, j := 0, len(b.Contents.Blobs)-1; i < j; i, j = i+1, j-1 {
		b.Contents.Blobs[i], b.Contents.Blobs[j] = b.Contents.Blobs[j], b.Contents.Blobs[i]
	}
	one, err := os.ReadFile(a.Write())
	require.NoError(t, err)
	two, err := os.ReadFile(b.Write())
	require.NoError(t, err)
	require.True(t, bytes.Equal(one, two))
}

// TestResume interrupts a run inside a blob and checks that the next goes on
// there, writes the same bytes and leaves nothing behind.
func TestResume(t *testing.T) {
	b := archivetest.New(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	b.Root("docker.io/library/big:1", b.Image("amd64", string(big), "small"))
	want, err := os.ReadFile(b.Write())
	require.NoError(t, err)

	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	pending := w.Pending()
	require.Equal(t, int64(len(big)), pending[0].Size, "the largest comes first")
	bw, err := w.Blob(pending[0])
	require.NoError(t, err)
	_, err = bw.Write(big[:100_001])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoFileExists(t, path)

	w, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	bw, err = w.Blob(pending[0])
	require.NoError(t, err)
	require.EqualValues(t, 100_001, bw.Offset())
	require.Greater(t, w.Resumed(), int64(100_001))
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// TestRewindWithdrawsTheState covers a blob that began with right bytes, was
// noted, was begun again with wrong ones and then lost its process: the noted
// state must not vouch for the wrong bytes.
func TestRewindWithdrawsTheState(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/x:1", b.Image("amd64", "the right bytes of a layer"))
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{CheckpointEvery: time.Millisecond})
	require.NoError(t, err)
	var layer archive.Blob
	for _, p := range w.Pending() {
		if string(b.Data[p.Digest]) == "the right bytes of a layer" {
			layer = p
		}
	}
	bw, err := w.Blob(layer)
	require.NoError(t, err)
	_, err = bw.Write([]byte("the right"))
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond) // several checkpoints
	require.NoError(t, bw.Rewind())
	journal, err := os.ReadFile(path + ".journal")
	require.NoError(t, err)
	_, err = bw.Write([]byte("the wrong"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	// As if the process had been killed right after the wrong bytes.
	require.NoError(t, os.WriteFile(path+".journal", journal, 0o644))

	w, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	bw, err = w.Blob(layer)
	require.NoError(t, err)
	require.Zero(t, bw.Offset())
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
	faults, err := archivetest.Open(t, path).Verify(t.Context(), archive.VerifyOptions{})
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestTornJournalLineIsIgnored(t *testing.T) {
	b := archivetest.Sample(t)
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f, err := os.OpenFile(path+".journal", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"done":"sha256:0`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	w, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	require.Positive(t, w.Resumed())
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
}

func TestAnotherBundleStartsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, archivetest.Sample(t).Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	b := archivetest.New(t)
	b.Root("docker.io/library/x:1", b.Image("amd64", "x"))
	w, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
	faults, err := archivetest.Open(t, path).Verify(t.Context(), archive.VerifyOptions{})
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestSecondWriterIsRefused(t *testing.T) {
	b := archivetest.Sample(t)
	path := filepath.Join(t.TempDir(), "out.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	_, err = archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.ErrorIs(t, err, archive.ErrBusy)
	require.NotEmpty(t, problem.Remedies(err))
	b.Fill(w)
	require.NoError(t, w.Finish([]byte(archivetest.Signature)))
}

func TestWrongBytesAreRefused(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/x:1", b.Image("amd64", "layer"))
	w, err := archive.Create(filepath.Join(t.TempDir(), "out.tar"), b.Layout(), archive.CreateOptions{})
	require.NoError(t, err)
	defer w.Close()
	for _, p := range w.Pending() {
		if string(b.Data[p.Digest]) != "layer" {
			continue
		}
		bw, err := w.Blob(p)
		require.NoError(t, err)
		_, err = bw.Write([]byte("lay"))
		require.NoError(t, err)
		require.ErrorIs(t, bw.Commit(), content.ErrMismatch, "short")
		_, err = bw.Write([]byte("erer"))
		require.ErrorIs(t, err, content.ErrMismatch, "long")
		_, err = bw.Write([]byte("xx"))
		require.NoError(t, err)
		require.ErrorIs(t, bw.Commit(), content.ErrMismatch, "other bytes")
	}
	require.Error(t, w.Finish([]byte(archivetest.Signature)), "an unfinished bundle gets no name")
}

func TestNoSpace(t *testing.T) {
	b := archivetest.New(t)
	huge := content.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: digest.FromString("huge"), Size: 1 << 48}
	b.Contents.Blobs = append(b.Contents.Blobs, huge)
	path := filepath.Join(t.TempDir(), "out.tar")
	_, err := archive.Create(path, b.Layout(), archive.CreateOptions{})
	require.ErrorIs(t, err, archive.ErrNoSpace)
	require.ErrorContains(t, err, "256 TiB needed")
	require.ErrorContains(t, err, "free in")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRanges(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/x:1", b.Image("amd64", "0123456789"))
	r := archivetest.Open(t, b.Write())
	d := content.Descriptor{Digest: digest.FromString("0123456789"), Size: 10}
	for _, c := range []struct {
		offset, length int64
		want           string
		fails          bool
	}{{0, 10, "0123456789", false}, {3, 4, "3456", false}, {10, 0, "", false}, {9, 2, "", true}, {-1, 2, "", true}, {11, 0, "", true}, {0, -1, "", true}, {1, 1<<63 - 1, "", true}} {
		rc, err := r.FetchRange(t.Context(), d, c.offset, c.length)
		if c.fails {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		got, err := io.ReadAll(rc)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
	}
	_, err := r.Fetch(t.Context(), content.Descriptor{Digest: digest.FromString("not there"), Size: 9})
	require.ErrorIs(t, err, content.ErrNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	rc, err := r.Fetch(ctx, d)
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(rc)
	require.ErrorIs(t, err, context.Canceled)
}

func TestClosure(t *testing.T) {
	b := archivetest.New(t)
	missing := content.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString("missing"), Size: 7}
	index := b.Index(b.Image("amd64", "x"), missing)
	b.Root("docker.io/library/x:1", index, missing) // planned as declared absent, as a creator must
	b.Contents.Roots[0].Absent = nil
	_, err := archive.Plan(b.Contents)
	require.Error(t, err, "a bundle that is not whole cannot be planned")
}

// Who reads of a damaged layer knows the images that lack it.
func TestFaultsNameTheImage(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/one:1", b.Image("amd64", "a layer of one image alone"))
	b.Root("docker.io/library/two:1", b.Image("amd64", "a layer of two images"))
	b.Root("docker.io/library/three:1", b.Index(b.Image("amd64", "a layer of two images", "another")))
	path := b.Write()
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for layer, want := range map[string]string{"a layer of one image alone": "docker.io/library/one:1: blob sha256:", "a layer of two images": "docker.io/library/two:1 and 1 more: blob sha256:"} {
		bad := bytes.Replace(good, []byte(layer), []byte("A"+layer[1:]), 1)
		require.NoError(t, os.WriteFile(path, bad, 0o644))
		faults, err := archivetest.Open(t, path).Verify(t.Context(), archive.VerifyOptions{})
		require.NoError(t, err)
		require.Len(t, faults, 1)
		require.ErrorContains(t, faults[0], want)
	}
}
