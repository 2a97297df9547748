package serve

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

// ServerOptions is how a registry is offered.
type ServerOptions struct {
	Addr              string // HOST:PORT; port 0 takes a free one
	CertFile, KeyFile string // PEM; both or none
	Logger            *slog.Logger
	// Listening is called once with the URL that clients use.
	Listening func(url string)
}

// drain is how long requests under way may take after the end was asked for.
const drain = 5 * time.Second

// Run serves handler until ctx is done. Only what can make a client wait for
// nothing is limited in time: a transfer may take as long as it moves.
func Run(ctx context.Context, handler http.Handler, opts ServerOptions) error {
	config, err := serverTLS(opts)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return listenError(err)
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
		opts.Listening(scheme + "://" + listener.Addr().String())
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving on %s: %w", opts.Addr, err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return errors.Join(server.Close())
	}
	return nil
}

func serverTLS(opts ServerOptions) (*tls.Config, error) {
	if opts.CertFile == "" && opts.KeyFile == "" {
		return nil, nil //nolint:nilnil // no TLS is asked for
	}
	if opts.CertFile == "" || opts.KeyFile == "" {
		return nil, problem.New(problem.Usage, "give both --tls-cert and --tls-key", "a certificate without its key, or the reverse")
	}
	if _, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile); err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	// Read for each connection, so that a renewed certificate is used at once.
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
		return &cert, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get, NextProtos: []string{"http/1.1"}}, nil
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
