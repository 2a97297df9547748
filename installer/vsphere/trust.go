package vsphere

import (
	"context"
	"crypto/sha1" //nolint:gosec // the form in which vCenters show thumbprints, besides SHA-256
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of a certificate that is not trusted, to be matched with errors.Is.
var (
	ErrExpired          = errors.New("the certificate is not valid at this time")
	ErrWrongName        = errors.New("the certificate is for another name")
	ErrUnknownAuthority = errors.New("the certificate is of an unknown authority")
	ErrThumbprint       = errors.New("the certificate has another thumbprint")
	ErrNoTLS            = errors.New("the server does not speak TLS")
)

// Reach opens a connection to a server, and closes it.
func Reach(ctx context.Context, server string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", Address(server))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", server, err)
	}
	return conn.Close()
}

// Handshake tells whether a server's certificate is trusted, and returns it. It
// fails with one of the errors above.
func Handshake(ctx context.Context, server string, options Options) (*x509.Certificate, error) {
	config, err := tlsConfig(server, options)
	if err != nil {
		return nil, err
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", Address(server))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", server, handshakeError(server, err))
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func tlsConfig(server string, options Options) (*tls.Config, error) {
	pool, err := authority.Pool(options.CAFile)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(Address(server))
	if err != nil {
		return nil, problem.New(problem.Usage, "write it as HOST or HOST:PORT", "the server %q: %w", server, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: host}
	if options.Thumbprint != "" {
		// Not less is verified, but something else: this one certificate.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error { return pinned(state, options.Thumbprint) }
	}
	return config, nil
}

// pinned compares a certificate with a thumbprint.
func pinned(state tls.ConnectionState, thumbprint string) error {
	cert := state.PeerCertificates[0]
	short, long := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw) //nolint:gosec // as above
	want := strings.ToUpper(thumbprint)
	if want != colons(short[:]) && want != colons(long[:]) {
		return problem.New(problem.Failed, "if the certificate was renewed on purpose, write its thumbprint into the site", "%w: %s", ErrThumbprint, colons(long[:]))
	}
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired}
	}
	return nil
}

// Thumbprint returns the SHA-1 of a certificate as vSphere writes it, AA:BB:....
func Thumbprint(cert *x509.Certificate) string {
	sum := sha1.Sum(cert.Raw) //nolint:gosec // as above
	return colons(sum[:])
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.ToUpper(strings.Join(parts, ":"))
}

// handshakeError says what is wrong with a certificate, and what to do.
func handshakeError(server string, err error) error {
	var (
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		wrongName x509.HostnameError
		noTLS     tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return problem.New(problem.Failed, "compare this machine's clock with these dates; renew the certificate if the clock is right",
			"%w: it is from %s to %s", ErrExpired, invalid.Cert.NotBefore.UTC().Format(time.DateTime), invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &wrongName):
		return problem.New(problem.Failed, "write a name of the certificate into the site, or renew it with the name "+server,
			"%w than %s: it has %s", ErrWrongName, server, names(wrongName.Certificate))
	case errors.As(err, &unknown):
		return problem.New(problem.Failed, "give the authority's certificate (caFile), or the server's own thumbprint", "%w: it was issued by %s", ErrUnknownAuthority, unknown.Cert.Issuer)
	case errors.As(err, &noTLS):
		return problem.New(problem.Failed, "check the port: HOST:443 is a vCenter's", "%w", ErrNoTLS)
	default:
		return err
	}
}

func names(cert *x509.Certificate) string {
	all := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
