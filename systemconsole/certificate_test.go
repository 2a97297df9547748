package systemconsole_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	upstream "github.com/sealift/sealift/test/registries"
)

// A change of the certificate that is cut off between its two files is ended by
// the next start; files that fit are left as they are.
func TestAChangeOfTheCertificateThatWasCutOff(t *testing.T) {
	authority := upstream.NewAuthority(t)
	cert, key := authority.Issue("old", time.Now().Add(time.Hour), "old.north.example")
	newCert, newKey := authority.Issue("new", time.Now().Add(time.Hour), "new.north.example")
	folder := t.TempDir() // in place of the certificate: it cannot be written, and the key is
	require.Error(t, systemconsole.ReplacePair(folder, key, []byte(read(t, newCert)), []byte(read(t, newKey))))
	require.Equal(t, read(t, newKey), read(t, key))
	require.Contains(t, served(t, cert, key), "new.north.example")
	require.NoFileExists(t, key+".next")
	require.Equal(t, read(t, newCert), read(t, cert))

	require.NoError(t, os.WriteFile(key+".next", []byte("{}"), 0o600)) // of a change that was ended by hand
	require.Contains(t, served(t, cert, key), "new.north.example")
	require.NoFileExists(t, key+".next")
}

// What is printed is what a browser can use, and what a certificate that the
// console makes has.
func TestTheAddressOfAConsole(t *testing.T) {
	name, err := os.Hostname()
	require.NoError(t, err)
	cert, key, err := systemconsole.SelfSigned(t.TempDir(), "0.0.0.0")
	require.NoError(t, err)
	for addr, want := range map[string]string{"0.0.0.0:0": name, "localhost:0": "localhost", "127.0.0.1:0": "127.0.0.1"} {
		ctx, cancel := context.WithCancel(t.Context())
		var got string
		err := systemconsole.Serve(ctx, http.NotFoundHandler(), systemconsole.ServeOptions{Addr: addr, CertFile: cert, KeyFile: key,
			Listening: func(u string) { got = u; cancel() }})
		require.NoError(t, err)
		u, err := url.Parse(got)
		require.NoError(t, err, got)
		require.Equal(t, want, u.Hostname(), addr)
		made, err := tls.LoadX509KeyPair(cert, key)
		require.NoError(t, err)
		require.NoError(t, made.Leaf.VerifyHostname(u.Hostname()))
	}
}

// served are the names for which a console with these files has its certificate.
func served(t *testing.T, cert, key string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- systemconsole.Serve(ctx, http.NotFoundHandler(), systemconsole.ServeOptions{Addr: "127.0.0.1:0", CertFile: cert, KeyFile: key, Listening: func(u string) { listening <- u[len("https://"):] }})
	}()
	defer cancel()
	var address string
	select {
	case address = <-listening:
	case err := <-ended:
		require.NoError(t, err)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	names := conn.ConnectionState().PeerCertificates[0].DNSNames
	require.NoError(t, conn.Close())
	cancel()
	require.NoError(t, <-ended)
	return names
}
