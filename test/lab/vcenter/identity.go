package vcenter

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// identity is a certificate of a private authority that was made for it.
type identity struct {
	authority []byte // PEM
	pool      *x509.CertPool
	leaf      tls.Certificate
	cert      *x509.Certificate
}

func newIdentity(addr string, hosts []string) (identity, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vCenter authority", Organization: []string{"sealift lab"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return identity{}, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate(addr, hosts), authority, leafKey.Public(), authorityKey)
	if err != nil {
		return identity{}, err
	}
	id := identity{
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER}),
		pool:      x509.NewCertPool(),
		leaf:      tls.Certificate{Certificate: [][]byte{leafDER, authorityDER}, PrivateKey: leafKey},
	}
	id.pool.AppendCertsFromPEM(id.authority)
	id.cert, err = x509.ParseCertificate(leafDER)
	return id, err
}

func leafTemplate(addr string, hosts []string) *x509.Certificate {
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "vCenter"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	host, _, _ := net.SplitHostPort(addr)
	for _, h := range append([]string{"localhost", "127.0.0.1", host}, hosts...) {
		if ip := net.ParseIP(h); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else if h != "" {
			cert.DNSNames = append(cert.DNSNames, h)
		}
	}
	return cert
}
