package location_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/test/stores"
)

// sample returns n bytes that follow from n.
func sample(n int) []byte {
	data := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// write writes data to a file in a new folder.
func write(t *testing.T, data []byte) string {
	path := filepath.Join(t.TempDir(), "bundle.tar")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path
}

// copyTo writes data to a name.
func copyTo(t *testing.T, name string, data []byte, opts location.CreateOptions) {
	t.Helper()
	require.NoError(t, location.Copy(t.Context(), location.Bytes(bytes.NewReader(data), int64(len(data))), name, nil, opts))
}

// quick is how tests retry.
func quick(opts location.Options) location.Options {
	opts.MinWait, opts.MaxAttempts, opts.StallTimeout = time.Millisecond, 4, 2*time.Second
	return opts
}

func newIdentity(t *testing.T) (*age.X25519Identity, []age.Recipient) {
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id, []age.Recipient{id.Recipient()}
}

// TestSources reads the same bytes from every kind of source.
func TestSources(t *testing.T) {
	const volume = 700_001
	data := sample(5<<20 + 12345)
	id, recipients := newIdentity(t)
	_, others := newIdentity(t)
	ids := []age.Identity{id}
	local := func(opts location.CreateOptions) func(t *testing.T) (string, location.Options) {
		return func(t *testing.T) (string, location.Options) {
			name := filepath.Join(t.TempDir(), "bundle.tar")
			copyTo(t, name, data, opts)
			return name, location.Options{Identities: ids}
		}
	}
	web := func(opts location.CreateOptions) func(t *testing.T) (string, location.Options) {
		return func(t *testing.T) (string, location.Options) {
			dir := t.TempDir()
			copyTo(t, filepath.Join(dir, "bundle.tar"), data, opts)
			url, ca := stores.Web(t, dir)
			return url + "/bundle.tar", quick(location.Options{CAFile: ca, Identities: ids})
		}
	}
	object := func(opts location.CreateOptions) func(t *testing.T) (string, location.Options) {
		return func(t *testing.T) (string, location.Options) {
			stores.S3(t, []string{"bundles"})
			copyTo(t, "s3://bundles/a/bundle.tar", data, opts)
			return "s3://bundles/a/bundle.tar", quick(location.Options{Identities: ids})
		}
	}
	sealed := location.CreateOptions{Recipients: append(recipients, others...)}
	cut := location.CreateOptions{VolumeSize: volume}
	both := location.CreateOptions{VolumeSize: volume, Recipients: recipients}
	for _, c := range []struct {
		name string
		make func(t *testing.T) (string, location.Options)
	}{
		{"file", local(location.CreateOptions{})}, {"volumes", local(cut)}, {"age", local(sealed)}, {"age over volumes", local(both)},
		{"https", web(location.CreateOptions{})}, {"https volumes", web(cut)}, {"age over https", web(sealed)}, {"age over https volumes", web(both)},
		{"s3 volumes", func(t *testing.T) (string, location.Options) {
			stores.S3(t, []string{"bundles"})
			for i := 0; i*volume < len(data); i++ {
				copyTo(t, location.VolumeName("s3://bundles/bundle.tar", i+1), data[i*volume:min(len(data), (i+1)*volume)], location.CreateOptions{})
			}
			return "s3://bundles/bundle.tar", quick(location.Options{})
		}},
		{"s3", object(location.CreateOptions{})}, {"age over s3", object(sealed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, opts := c.make(t)
			there, err := location.Exists(t.Context(), name, opts)
			require.NoError(t, err)
			require.True(t, there)
			there, err = location.Exists(t.Context(), name+".other", opts)
			require.NoError(t, err)
			require.False(t, there)
			s, err := location.Open(t.Context(), name, opts)
			require.NoError(t, err)
			readEverywhere(t, s, data)
			require.NoError(t, s.Close())
		})
	}
}

// readEverywhere is the contract of a source.
func readEverywhere(t *testing.T, s location.Source, data []byte) {
	size := int64(len(data))
	require.Equal(t, size, s.Size())
	for _, c := range []struct{ off, n int64 }{{0, 1}, {0, 512}, {700_000, 2}, {2<<20 - 1, 2}, {1, 3 << 20}, {size - 1, 1}, {size - 5, 5}, {0, size}} {
		p := make([]byte, c.n)
		n, err := s.ReadAt(p, c.off)
		if !errors.Is(err, io.EOF) { // which a full read may give at the end
			require.NoError(t, err)
		}
		require.EqualValues(t, c.n, n)
		require.True(t, bytes.Equal(data[c.off:c.off+c.n], p), "%d bytes at %d", c.n, c.off)
	}
	n, err := s.ReadAt(make([]byte, 10), size-3)
	require.Equal(t, 3, n)
	require.ErrorIs(t, err, io.EOF)
	n, err = s.ReadAt(make([]byte, 10), size)
	require.Zero(t, n)
	require.ErrorIs(t, err, io.EOF)
	_, err = s.ReadAt(make([]byte, 10), -1)
	require.Error(t, err)

	var wg sync.WaitGroup
	for i := range int64(16) {
		wg.Go(func() {
			from, to := size*i/16, size*(i+1)/16
			got, err := io.ReadAll(io.NewSectionReader(s, from, to-from))
			if err != nil || !bytes.Equal(got, data[from:to]) {
				t.Errorf("section %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestNothingThere(t *testing.T) {
	stores.S3(t, []string{"bundles"})
	url, ca := stores.Web(t, t.TempDir())
	for _, name := range []string{filepath.Join(t.TempDir(), "no"), filepath.Join(t.TempDir(), "no", "no"), url + "/no", "s3://bundles/no"} {
		_, err := location.Open(t.Context(), name, quick(location.Options{CAFile: ca}))
		require.ErrorIs(t, err, location.ErrNotFound, name)
	}
	_, err := location.Open(t.Context(), "s3://nowhere/no", quick(location.Options{}))
	require.ErrorContains(t, err, "NoSuchBucket")
	_, err = location.Open(t.Context(), "s3://bundles", quick(location.Options{}))
	require.ErrorContains(t, err, "names no object")
}

func TestCanceled(t *testing.T) {
	dir := filepath.Dir(write(t, sample(100)))
	url, ca := stores.Web(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := location.Open(ctx, url+"/bundle.tar", quick(location.Options{CAFile: ca}))
	require.NoError(t, err)
	cancel()
	_, err = s.ReadAt(make([]byte, 10), 0)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
}
