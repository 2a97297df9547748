package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
)

// Who asks for a log of requests has it, also from a service that is quiet
// otherwise.
func TestAnAccessLogIsNotQuiet(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out, address := io.Pipe()
		var log bytes.Buffer
		a := &app{Streams: Streams{Out: address, Err: &log}, quiet: true, logFormat: format}
		f := serverFlags{opts: serve.ServerOptions{Addr: "127.0.0.1:0"}, accessLog: true}
		ended := make(chan error, 1)
		go func() { ended <- f.run(ctx, a, http.NotFoundHandler(), "nothing") }()
		url, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSpace(url)+"/v2/", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		cancel()
		require.NoError(t, <-ended)
		require.Regexp(t, `^[^\n]*request[^\n]*/v2/[^\n]*404[^\n]*\n$`, log.String(), format)
	}
}
