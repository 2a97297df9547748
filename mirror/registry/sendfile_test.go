package registry

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/retry"
)

// stored is content that lies in a file, from a place in it.
type stored struct {
	file *os.File
	from int64
	read int64 // what lies behind this cannot be read, only sent; 0 is no limit
}

func (s stored) File(off, _ int64) (*os.File, int64) { return s.file, s.from + off }

func (s stored) ReadAt(p []byte, off int64) (int, error) {
	if s.read > 0 && off >= s.read {
		return 0, errors.New("this is not to be read")
	}
	return s.file.ReadAt(p, s.from+off)
}

// send sends a section of a file as an upload does, and returns what arrived.
func send(t *testing.T, src io.ReaderAt, offset, length int64, transport *http.Transport) ([]byte, error) {
	t.Helper()
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	w := retry.Watch(t.Context(), time.Minute, time.Minute)
	defer w.Stop()
	body := &watched{r: io.NewSectionReader(io.NewSectionReader(src, 100, 1<<40), offset, length), left: length, w: w}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
	require.NoError(t, err)
	req.ContentLength = length
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	server.Close() // waits for who writes got
	return got, err
}

func randomFile(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	path := filepath.Join(t.TempDir(), "bundle")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f, data
}

func direct() *http.Transport { return &http.Transport{DialContext: dial(&net.Dialer{})} }

// The bytes that the system sends are the right ones, at whatever place, and the
// process reads none but those that go with the header.
func TestFilesAreSentBySystem(t *testing.T) {
	f, data := randomFile(t, 5<<20)
	for _, c := range []struct{ offset, length int64 }{{0, 4 << 20}, {12345, 3<<20 + 7}, {1, 1}, {0, 70_000}} {
		got, err := send(t, stored{file: f, from: 333, read: 100 + c.offset + 64<<10}, c.offset, c.length, direct())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data[333+100+c.offset:][:c.length], got), "%+v", c)
	}
}

// Content that lies in no file is read and written, and so is what a file
// became too short for: its reader has the words for that.
func TestWhatIsNoFileIsRead(t *testing.T) {
	f, data := randomFile(t, 5<<20)
	got, err := send(t, struct{ io.ReaderAt }{f}, 7, 3<<20, direct())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data[107:][:3<<20], got))
	got, err = send(t, stored{file: nil, from: 0}, 7, 10, direct())
	require.Error(t, err, "%v", got)

	_, err = send(t, stored{file: f}, 0, 6<<20, direct())
	require.ErrorContains(t, err, "ContentLength=6291456 with Body length 5242780")
}

// A connection that ends is an error of the connection.
func TestABrokenConnectionWhileAFileIsSent(t *testing.T) {
	f, _ := randomFile(t, 5<<20)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		c, err := listener.Accept()
		if err == nil {
			_, _ = io.CopyN(io.Discard, c, 100_000)
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	}()
	w := retry.Watch(t.Context(), time.Minute, time.Minute)
	defer w.Stop()
	body := &watched{r: io.NewSectionReader(stored{file: f}, 0, 5<<20), left: 5 << 20, w: w}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+listener.Addr().String(), body)
	require.NoError(t, err)
	req.ContentLength = 5 << 20
	_, err = (&http.Client{Transport: direct()}).Do(req)
	require.Error(t, err)
	require.True(t, retry.Connection(err), "%v", err)
}
