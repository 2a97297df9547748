package preflight_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
)

// What is wrong with the console's certificate shows before anything is installed.
func TestConsoleCertificate(t *testing.T) {
	const check = "console-certificate"
	l := newLab(t)
	l.require(check, preflight.Skipped, "one is made")
	l.edit("{hostname: console.north.example}", "{hostname: console.north.example, tls: {certFile: console.crt, keyFile: console.key}}")
	l.require(check, preflight.Failed, "no such file")
	put := func(notAfter time.Time, host string) {
		cert, key := l.Authority.Issue("console", notAfter, host)
		for from, to := range map[string]string{cert: "console.crt", key: "console.key"} {
			data, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(l.Dir, to), data, 0o600))
		}
	}
	put(time.Now().Add(90*24*time.Hour), "console.north.example")
	l.require(check, preflight.OK, "console.crt fits console.north.example, until ")
	put(time.Now().Add(20*24*time.Hour), "console.north.example")
	l.require(check, preflight.Warning, "it ends on ")
	put(time.Now().Add(-time.Hour), "console.north.example")
	l.require(check, preflight.Failed, "console.crt has expired on ")
	put(time.Now().Add(90*24*time.Hour), "other.north.example")
	l.require(check, preflight.Failed, "valid for localhost, other.north.example, not console.north.example")
	_, key := l.Authority.Issue("another", time.Now().Add(time.Hour), "console.north.example")
	data, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(l.Dir, "console.key"), data, 0o600))
	l.require(check, preflight.Failed, "private key does not match")
}
