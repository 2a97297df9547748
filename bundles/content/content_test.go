package content_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
)

func describe(data string) content.Descriptor {
	return content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(data), Size: int64(len(data))}
}

func TestVerify(t *testing.T) {
	d := describe("hello")
	for name, r := range map[string]io.Reader{
		"at once":          strings.NewReader("hello"),
		"byte by byte":     iotest.OneByteReader(strings.NewReader("hello")),
		"EOF with the end": iotest.DataErrReader(strings.NewReader("hello")),
	} {
		t.Run(name, func(t *testing.T) {
			v, err := content.Verify(r, d)
			require.NoError(t, err)
			got, err := io.ReadAll(v)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
			require.NoError(t, v.Close())
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		bytes, fault string
	}{
		"other bytes":  {"hellO", "another digest"},
		"too short":    {"hell", "ends 1 bytes early"},
		"nothing":      {"", "ends 5 bytes early"},
		"one too many": {"hello!", "longer than its 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := content.Verify(strings.NewReader(c.bytes), describe("hello"))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, v)
			if err == nil {
				err = v.Close()
			} else {
				require.ErrorIs(t, v.Close(), content.ErrMismatch)
			}
			require.ErrorIs(t, err, content.ErrMismatch)
			require.ErrorContains(t, err, c.fault)
			require.ErrorContains(t, err, describe("hello").Digest.String())
		})
	}
}

func TestVerifyNotReadToItsEnd(t *testing.T) {
	v, err := content.Verify(strings.NewReader("hello"), describe("hello"))
	require.NoError(t, err)
	_, err = io.ReadFull(v, make([]byte, 3))
	require.NoError(t, err)
	require.ErrorIs(t, v.Close(), content.ErrMismatch)
}

func TestVerifyOfNothing(t *testing.T) {
	v, err := content.Verify(strings.NewReader(""), describe(""))
	require.NoError(t, err)
	require.NoError(t, v.Close())
	v, err = content.Verify(strings.NewReader("x"), describe(""))
	require.NoError(t, err)
	require.ErrorIs(t, v.Close(), content.ErrMismatch)
}

func TestVerifyBadDescriptor(t *testing.T) {
	for name, d := range map[string]content.Descriptor{
		"no digest":         {Size: 1},
		"path as digest":    {Digest: "sha256:../../etc/passwd", Size: 1},
		"upper case":        {Digest: digest.Digest("sha256:" + strings.Repeat("A", 64)), Size: 1},
		"unknown algorithm": {Digest: digest.Digest("md5:" + strings.Repeat("a", 32)), Size: 1},
		"negative size":     {Digest: digest.FromString("x"), Size: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := content.Verify(strings.NewReader("x"), d)
			require.Error(t, err)
		})
	}
}

func TestVerifyPassesErrorsOn(t *testing.T) {
	broken := errors.New("the line is broken")
	v, err := content.Verify(io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)), describe("hello"))
	require.NoError(t, err)
	_, err = io.ReadAll(v)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, content.ErrMismatch)
}

// place is a fetcher that answers every request with the same.
type place struct {
	data   string
	err    error
	asked  int
	closed int
}

func (p *place) Fetch(context.Context, content.Descriptor) (io.ReadCloser, error) {
	p.asked++
	if p.err != nil {
		return nil, p.err
	}
	return closer{bytes.NewReader([]byte(p.data)), &p.closed}, nil
}

type closer struct {
	io.Reader
	n *int
}

func (c closer) Close() error {
	*c.n++
	return nil
}

func TestReadAll(t *testing.T) {
	p := &place{data: "hello"}
	got, err := content.ReadAll(t.Context(), p, describe("hello"), 5)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	require.Equal(t, 1, p.closed)

	got, err = content.ReadAll(t.Context(), &place{}, describe(""), 0)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestReadAllRefuses(t *testing.T) {
	for _, served := range []string{"hellO", "hell", "hello!", ""} {
		p := &place{data: served}
		_, err := content.ReadAll(t.Context(), p, describe("hello"), 100)
		require.ErrorIs(t, err, content.ErrMismatch, served)
		require.Equal(t, 1, p.closed, "the reader is closed")
	}
	p := &place{err: content.ErrNotFound}
	_, err := content.ReadAll(t.Context(), p, describe("hello"), 100)
	require.ErrorIs(t, err, content.ErrNotFound)
}

func TestReadAllAsksNotForWhatIsTooLarge(t *testing.T) {
	p := &place{data: "hello"}
	_, err := content.ReadAll(t.Context(), p, describe("hello"), 4)
	require.ErrorIs(t, err, content.ErrTooLarge)
	require.ErrorContains(t, err, "has 5 bytes, the limit is 4")
	d := describe("hello")
	d.Size = -1
	_, err = content.ReadAll(t.Context(), p, d, 4)
	require.ErrorIs(t, err, content.ErrTooLarge)
	require.Zero(t, p.asked)
}
