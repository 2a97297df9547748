// Package authority reads the certificates of authorities that are trusted
// besides the system's.
package authority

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/sealift/sealift/internal/problem"
)

// Pool returns the system's authorities and those of a PEM file. Without a
// file it returns nil, which means the system's alone.
func Pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of an authority: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, problem.New(problem.Usage, "give a PEM file with the certificate of the authority", "%s holds no certificate", file)
	}
	return pool, nil
}
