package client_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/client"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/consoles"
)

// console is a real one, with a way to get between it and its clients.
type console struct {
	*httptest.Server
	uploads string // its folder
	client  *client.Client
	// between may answer a request itself; nil leaves all to the console.
	between atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

func start(t *testing.T, room int64) *console {
	t.Helper()
	dir := t.TempDir()
	s, err := bolt.Open(filepath.Join(dir, "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	c := &console{uploads: filepath.Join(dir, "uploads")}
	handler, err := systemconsole.New(t.Context(), systemconsole.Options{Store: s, Keeper: keeper, Uploads: c.uploads, UploadRoom: room})
	require.NoError(t, err)
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := c.between.Load(); f == nil || !(*f)(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(c.Close)
	ca := filepath.Join(dir, "ca.crt")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}), 0o600))
	accounts := auth.New(s, audit.New(s, audit.Options{}), auth.Options{Keeper: keeper})
	c.client, err = client.New(client.Options{URL: c.URL, Token: consoles.Token(t, accounts), CA: ca})
	require.NoError(t, err)
	return c
}

// stands lets f stand between the console and its clients.
func (c *console) stands(f func(w http.ResponseWriter, r *http.Request) bool) { c.between.Store(&f) }

// file makes a file of random bytes.
func file(t *testing.T, size int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = r.Read(data)
	path = filepath.Join(t.TempDir(), "platform.bundle")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path, data
}

func (c *console) received(t *testing.T, id string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(c.uploads, id))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func small() client.UploadOptions {
	return client.UploadOptions{Chunk: 64 << 10, Pause: time.Millisecond}
}

// Connections break in the middle of chunks, and the console fails now and
// then: the file arrives as it is.
func TestUploadGoesOn(t *testing.T) {
	c := start(t, 0)
	path, data := file(t, 1<<20)
	var n atomic.Int32
	c.stands(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		switch n.Add(1) % 4 {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 2:
			r.Body = io.NopCloser(io.LimitReader(r.Body, 1000)) // what comes after it is lost
			return false
		case 3:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
	})
	id, err := c.client.Upload(t.Context(), path, small())
	require.NoError(t, err)
	c.received(t, id, data)
}

// A run that was ended is repeated: what is there is not sent again.
func TestALaterRunGoesOn(t *testing.T) {
	c := start(t, 0)
	path, data := file(t, 1<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	var chunks atomic.Int32
	c.stands(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && chunks.Add(1) == 8 {
			cancel(errors.New("ended"))
		}
		return false
	})
	_, err := c.client.Upload(ctx, path, small())
	require.Error(t, err)
	chunks.Store(100)
	id, err := c.client.Upload(t.Context(), path, small())
	require.NoError(t, err)
	require.LessOrEqual(t, chunks.Load(), int32(100+10))
	c.received(t, id, data)
	chunks.Store(100)
	again, err := c.client.Upload(t.Context(), path, small())
	require.NoError(t, err)
	require.Equal(t, id, again)
	require.EqualValues(t, 100, chunks.Load(), "all of it is there")

	other, data := file(t, 1<<20-1)
	id, err = c.client.Upload(t.Context(), other, small())
	require.NoError(t, err)
	require.NotEqual(t, again, id, "another file of the same name")
	c.received(t, id, data)
}

// What does not pass is not tried for ever.
func TestUploadFails(t *testing.T) {
	c := start(t, 1<<20)
	path, _ := file(t, 2<<20)
	_, err := c.client.Upload(t.Context(), path, small())
	require.ErrorContains(t, err, "there is room for 1.0 MiB of uploads here")
	require.Contains(t, strings.Join(problem.Remedies(err), " "), "sealift mirror push")
	path, _ = file(t, 1<<20)
	var tries atomic.Int32
	answer := http.StatusBadGateway
	c.stands(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			tries.Add(1)
			w.WriteHeader(answer)
			return true
		}
		return false
	})
	_, err = c.client.Upload(t.Context(), path, small())
	require.ErrorContains(t, err, "502")
	require.EqualValues(t, 8, tries.Load())
	tries.Store(0)
	answer = http.StatusNotFound
	_, err = c.client.Upload(t.Context(), path, small())
	require.Contains(t, strings.Join(problem.Remedies(err), " "), "run the command again")
	require.EqualValues(t, 1, tries.Load())
	_, err = c.client.Upload(t.Context(), t.TempDir(), small())
	require.ErrorContains(t, err, "is no file")
}
