package systemconsole

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sealift/sealift/internal/httpserver"
)

// ServeOptions is how a console is offered. Addr, CertFile and KeyFile are
// required: there is no console without TLS.
type ServeOptions struct {
	Addr              string // HOST:PORT; port 0 takes a free one
	CertFile, KeyFile string // PEM; they are read again when they were renewed
	// Listening is called once with the console's address.
	Listening func(url string)
}

// The times that a client has. Nobody keeps a connection by sending slowly.
const (
	headerTime = 10 * time.Second
	readTime   = time.Minute
	writeTime  = 2 * time.Minute
	idleTime   = 2 * time.Minute
	longTime   = 10 * time.Minute // in place of writeTime, where the server itself needs it
)

// extend gives an answer so much time from now on, in place of writeTime.
func extend(w http.ResponseWriter, by time.Duration) error {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(by))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("giving the answer more time: %w", err)
	}
	return nil
}

// steady writes an answer that may take as long as it does: only a client that
// takes nothing of it for writeTime is cut off.
type steady struct{ http.ResponseWriter }

func (s steady) Write(b []byte) (int, error) {
	if err := extend(s.ResponseWriter, writeTime); err != nil {
		return 0, err
	}
	return s.ResponseWriter.Write(b)
}

// Serve answers requests until ctx is done.
func Serve(ctx context.Context, handler http.Handler, opts ServeOptions) error {
	if err := finishPair(opts.CertFile, opts.KeyFile); err != nil {
		return fmt.Errorf("ending the change of the console's certificate: %w", err)
	}
	config, err := httpserver.TLS(opts.CertFile, opts.KeyFile)
	if err != nil {
		return fmt.Errorf("reading the console's certificate: %w", err)
	}
	listener, err := httpserver.Listen(ctx, opts.Addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: config}
	if opts.Listening != nil {
		opts.Listening("https://" + httpserver.Reachable(opts.Addr, listener))
	}
	return httpserver.Run(ctx, server, opts.Addr, func() error { return server.ServeTLS(listener, "", "") })
}
