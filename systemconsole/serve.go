package systemconsole

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/sealift/sealift/internal/problem"
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
	drainTime  = 5 * time.Second // for requests under way when the end was asked for
)

// Serve answers requests until ctx is done.
func Serve(ctx context.Context, handler http.Handler, opts ServeOptions) error {
	if _, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile); err != nil {
		return fmt.Errorf("reading the console's certificate: %w", err)
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
		return &cert, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return listenError(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}}
	if opts.Listening != nil {
		opts.Listening("https://" + listener.Addr().String())
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving on %s: %w", opts.Addr, err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return server.Close()
	}
	return nil
}

func listenError(err error) error {
	remedy := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program has this port: choose another --addr"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 need root: choose a higher one"
	}
	return problem.WithRemedy(fmt.Errorf("listening: %w", err), remedy)
}
