package systemconsole

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sealift/sealift/internal/durable"
)

// selfSignedLife is how long a certificate that the console made is good for.
const selfSignedLife = 2 * 365 * 24 * time.Hour

// SelfSigned returns the files of the certificate in a folder. When there is
// none it makes one for a host, which signs itself.
func SelfSigned(dir, host string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	_, certErr := os.Stat(certFile)
	_, keyErr := os.Stat(keyFile)
	if certErr == nil && keyErr == nil {
		return certFile, keyFile, nil
	}
	if err := errors.Join(notMissing(certErr), notMissing(keyErr)); err != nil {
		return "", "", err
	}
	cert, key, err := newCertificate(host)
	if err != nil {
		return "", "", fmt.Errorf("making the console's certificate: %w", err)
	}
	// The key first: a certificate alone is never used.
	err = durable.WriteFile(keyFile, key, 0o600)
	if err == nil {
		err = durable.WriteFile(certFile, cert, 0o600)
	}
	return certFile, keyFile, err
}

// pair is a certificate with its key, in PEM.
type pair struct{ Certificate, Key []byte }

// nextSuffix is what the file of a pair that takes another's place is called,
// after the key's.
const nextSuffix = ".next"

// replacePair replaces certificate and key, which are two files: both are kept
// in one before, so that finishPair ends what was cut off between the two. A
// connection between the two writes finds a pair that does not fit and fails;
// the browser's next try has the new one.
func replacePair(certFile, keyFile string, p pair) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(keyFile+nextSuffix, data, 0o600); err != nil {
		return err
	}
	if err := durable.WriteFile(keyFile, p.Key, 0o600); err != nil {
		return err
	}
	if err := durable.WriteFile(certFile, p.Certificate, 0o600); err != nil {
		return err
	}
	return os.Remove(keyFile + nextSuffix)
}

// finishPair ends a replacement of certificate and key that was cut off. When
// the files fit each other there is nothing to end.
func finishPair(certFile, keyFile string) error {
	data, err := os.ReadFile(keyFile + nextSuffix)
	if err != nil {
		return notMissing(err)
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		return os.Remove(keyFile + nextSuffix)
	}
	var p pair
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("reading %s: %w", keyFile+nextSuffix, err)
	}
	return replacePair(certFile, keyFile, p)
}

func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func newCertificate(host string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "sealift system console"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	if name, err := os.Hostname(); err == nil {
		template.DNSNames = append(template.DNSNames, name)
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
