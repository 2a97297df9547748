// Package contenttest is the one suite that every implementation of the
// interfaces of package content passes. Each contract written there is a
// subtest here.
package contenttest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
)

// blob returns content that follows from a text, and its descriptor.
func blob(text string) (content.Descriptor, []byte) {
	data := []byte(strings.Repeat(text, 1000))
	return content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(data), Size: int64(len(data))}, data
}

// Store checks a Store. newStore returns an empty one.
func Store(t *testing.T, newStore func(t *testing.T) content.Store) {
	t.Run("what was pushed can be fetched", func(t *testing.T) {
		s := newStore(t)
		d, data := blob("content ")
		there, err := s.Exists(t.Context(), d)
		require.NoError(t, err)
		require.False(t, there)
		require.NoError(t, s.Push(t.Context(), d, bytes.NewReader(data)))
		there, err = s.Exists(t.Context(), d)
		require.NoError(t, err)
		require.True(t, there)
		got, err := content.ReadAll(t.Context(), s, d, 1<<20)
		require.NoError(t, err)
		require.Equal(t, data, got)
	})
	t.Run("pushing what exists succeeds", func(t *testing.T) {
		s := newStore(t)
		d, data := blob("twice ")
		require.NoError(t, s.Push(t.Context(), d, bytes.NewReader(data)))
		require.NoError(t, s.Push(t.Context(), d, bytes.NewReader(data)))
	})
	t.Run("the empty blob", func(t *testing.T) {
		s := newStore(t)
		d := content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(nil)}
		require.NoError(t, s.Push(t.Context(), d, bytes.NewReader(nil)))
		got, err := content.ReadAll(t.Context(), s, d, 1)
		require.NoError(t, err)
		require.Empty(t, got)
	})
	t.Run("a failed push leaves nothing visible", func(t *testing.T) { failedPush(t, newStore) })
	t.Run("not found", func(t *testing.T) {
		s := newStore(t)
		d, _ := blob("not there ")
		rc, err := s.Fetch(t.Context(), d)
		if err == nil { // it may show with the first byte
			_, err = io.ReadAll(rc)
			require.NoError(t, rc.Close())
		}
		require.ErrorIs(t, err, content.ErrNotFound)
	})
	t.Run("cancellation returns promptly", func(t *testing.T) {
		s := newStore(t)
		d, _ := blob("endless ")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		require.Error(t, s.Push(ctx, d, waiting{ctx}))
		require.Less(t, time.Since(start), 5*time.Second)
	})
}

// waiting gives nothing until its context is done.
type waiting struct {
	ctx context.Context //nolint:containedctx // that is what it waits for
}

func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

func failedPush(t *testing.T, newStore func(t *testing.T) content.Store) {
	d, data := blob("right ")
	wrong := bytes.Clone(data)
	wrong[100] ^= 1
	for name, r := range map[string]io.Reader{
		"wrong bytes": bytes.NewReader(wrong),
		"too short":   bytes.NewReader(data[:len(data)-1]),
		"a broken reader": io.MultiReader(bytes.NewReader(data[:10]),
			iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			require.Error(t, s.Push(t.Context(), d, r))
			there, err := s.Exists(t.Context(), d)
			require.NoError(t, err)
			require.False(t, there)
		})
	}
	t.Run("too long", func(t *testing.T) {
		require.Error(t, newStore(t).Push(t.Context(), d, bytes.NewReader(append(bytes.Clone(data), 'x'))))
	})
}

// Ranges checks a RangeFetcher. newFetcher returns one that holds data.
func Ranges(t *testing.T, newFetcher func(t *testing.T, data []byte) content.RangeFetcher) {
	d, data := blob("0123456789")
	f := newFetcher(t, data)
	for _, r := range []struct{ offset, length int64 }{{0, d.Size}, {0, 1}, {17, 1000}, {d.Size - 1, 1}, {d.Size, 0}, {5, 0}} {
		rc, err := f.FetchRange(t.Context(), d, r.offset, r.length)
		require.NoError(t, err)
		got, err := io.ReadAll(rc)
		require.NoError(t, err)
		require.NoError(t, rc.Close())
		require.Equal(t, string(data[r.offset:r.offset+r.length]), string(got))
	}
	for _, r := range []struct{ offset, length int64 }{{-1, 2}, {0, -1}, {0, d.Size + 1}, {d.Size, 1}, {1, 1<<63 - 1}} {
		_, err := f.FetchRange(t.Context(), d, r.offset, r.length)
		require.Error(t, err, "%d+%d", r.offset, r.length)
	}
}
