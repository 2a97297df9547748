package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sealift/sealift/internal/httpserver"
	"github.com/sealift/sealift/internal/problem"
)

// ServerOptions is how a registry is offered.
type ServerOptions struct {
	Addr              string // HOST:PORT; port 0 takes a free one
	CertFile, KeyFile string // PEM; both or none
	Logger            *slog.Logger
	// Listening is called once with the URL that clients use.
	Listening func(url string)
}

// Run serves handler until ctx is done. Only what can make a client wait for
// nothing is limited in time: a transfer may take as long as it moves.
func Run(ctx context.Context, handler http.Handler, opts ServerOptions) error {
	config, err := serverTLS(opts)
	if err != nil {
		return err
	}
	listener, err := httpserver.Listen(ctx, opts.Addr)
	if err != nil {
		return err
	}
	scheme := "http"
	if config != nil {
		scheme = "https"
		listener = tls.NewListener(listener, config)
	} else if tcp, ok := listener.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && opts.Logger != nil {
		opts.Logger.Warn("serving without TLS to other machines", "remedy", "give --tls-cert and --tls-key")
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	if opts.Listening != nil {
		opts.Listening(scheme + "://" + httpserver.Reachable(opts.Addr, listener))
	}
	return httpserver.Run(ctx, server, opts.Addr, func() error { return server.Serve(listener) })
}

func serverTLS(opts ServerOptions) (*tls.Config, error) {
	if opts.CertFile == "" && opts.KeyFile == "" {
		return nil, nil //nolint:nilnil // no TLS is asked for
	}
	if opts.CertFile == "" || opts.KeyFile == "" {
		return nil, problem.New(problem.Usage, "give both --tls-cert and --tls-key", "a certificate without its key, or the reverse")
	}
	config, err := httpserver.TLS(opts.CertFile, opts.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	config.NextProtos = []string{"http/1.1"}
	return config, nil
}
