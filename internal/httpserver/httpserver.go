// Package httpserver is what servers of HTTP share: listening with a remedy
// where it fails, certificates that are renewed while they serve, and an end
// that lets requests under way be answered.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/sealift/sealift/internal/problem"
)

// drain is how long requests under way may take after the end was asked for.
const drain = 5 * time.Second

// Listen listens on HOST:PORT; port 0 takes a free one.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr) // nothing would be every interface
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(ctx, "tcp", port)
	}
	if err != nil {
		return nil, problem.New(problem.Usage, "give HOST:PORT, such as 127.0.0.1:5000", "listening: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err == nil {
		return listener, nil
	}
	remedy := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program has this port: choose another --addr"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 need root: choose a higher one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "name an address of this machine; 0.0.0.0 is all that it has"
	}
	return nil, problem.WithRemedy(fmt.Errorf("listening: %w", err), remedy)
}

// Reachable returns the HOST:PORT that clients use for a listener on addr: the
// host as it was given, and for all addresses of this machine its name, since
// 0.0.0.0 and :: lead nowhere.
func Reachable(addr string, listener net.Listener) string {
	actual := listener.Addr().String()
	host, _, err := net.SplitHostPort(addr)
	_, port, actualErr := net.SplitHostPort(actual)
	if err != nil || actualErr != nil {
		return actual
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return actual
		}
	}
	return net.JoinHostPort(host, port)
}

// TLS returns a configuration with a certificate and its key, in PEM files.
// They are read for each connection, so that a renewed one is used at once.
func TLS(certFile, keyFile string) (*tls.Config, error) {
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return nil, problem.New(problem.Usage, "give a certificate and its key, each in a PEM file", "the certificate %s with the key %s: %w", certFile, keyFile, err)
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &cert, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}, nil
}

// Run lets a server serve until ctx is done, and then ends it. addr is for
// errors.
func Run(ctx context.Context, server *http.Server, addr string, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving on %s: %w", addr, err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return server.Close()
	}
	return nil
}
