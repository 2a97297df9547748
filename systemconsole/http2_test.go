package systemconsole_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// overHTTP2 serves what a console does over HTTP/2 too.
func overHTTP2(t *testing.T, c *console, readTime time.Duration) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(c.Config.Handler)
	server.EnableHTTP2, server.Config.ReadTimeout = true, readTime
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// stream is one request over HTTP/2, frame by frame.
type stream struct {
	t *testing.T
	*http2.Framer
}

// postHeaders sends the headers of a form, and nothing of its body.
func postHeaders(t *testing.T, server *httptest.Server, path string, size int, headers ...string) stream {
	t.Helper()
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write([]byte(http2.ClientPreface))
	require.NoError(t, err)
	s := stream{t, http2.NewFramer(conn, conn)}
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	require.NoError(t, s.WriteSettings())
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	headers = append([]string{":method", "POST", ":scheme", "https", ":authority", server.Listener.Addr().String(), ":path", path,
		"content-type", "application/x-www-form-urlencoded", "content-length", strconv.Itoa(size)}, headers...)
	for i := 0; i < len(headers); i += 2 {
		require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: headers[i], Value: headers[i+1]}))
	}
	require.NoError(t, s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}))
	return s
}

// answer reads frames until the stream and whatever follows it at once has
// ended, and returns the status and whether the stream was reset.
func (s stream) answer() (status string, reset bool) {
	s.t.Helper()
	for {
		frame, err := s.ReadFrame()
		require.NoError(s.t, err)
		ended := false
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				require.NoError(s.t, s.WriteSettingsAck())
			}
		case *http2.MetaHeadersFrame:
			status, ended = f.PseudoValue("status"), f.StreamEnded()
		case *http2.DataFrame:
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			reset = true
		case *http2.PingFrame:
			return status, reset
		}
		if ended {
			require.NoError(s.t, s.WritePing(false, [8]byte{}))
		}
	}
}

// Some clients take a stream that is reset for a failure, whatever it was
// answered: a small body is read before that, whoever sends it.
func TestAnAnswerWaitsForASmallBody(t *testing.T) {
	server := overHTTP2(t, start(t), time.Minute)
	for what, c := range map[string]struct {
		path, status string
		headers      []string
	}{
		"no session":   {"/tenants", "303", nil},
		"no token":     {"/api/v1/tenants", "401", nil},
		"a bad token":  {"/api/v1/tenants", "401", []string{"authorization", "Bearer x"}},
		"another site": {"/login", "403", []string{"origin", "https://evil.example"}},
	} {
		t.Run(what, func(t *testing.T) {
			body := []byte("name=a&password=b")
			s := postHeaders(t, server, c.path, len(body), c.headers...)
			time.Sleep(50 * time.Millisecond)
			require.NoError(t, s.WriteData(1, true, body))
			status, reset := s.answer()
			require.Equal(t, c.status, status)
			require.False(t, reset)
		})
	}
}

// A body that never comes, or is too large, holds no answer up for longer than
// bodies may take.
func TestAnAnswerWaitsForNoOtherBody(t *testing.T) {
	server := overHTTP2(t, start(t), 300*time.Millisecond)
	for _, size := range []int{10, 1 << 30} {
		status, reset := postHeaders(t, server, "/tenants", size).answer()
		require.Equal(t, "303", status, size)
		require.True(t, reset, size)
	}
}
