//go:build e2e

package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/test/consoles"
)

// consoleAuthority returns the certificate of the console's authority, and keeps
// it as console-ca.crt.
func (e *enterprise) consoleAuthority(t *testing.T) []byte {
	t.Helper()
	pem, err := base64.StdEncoding.DecodeString(e.kubectl(t, "get", "secret", "systemconsole-tls", "-o", `jsonpath={.data.tls\.crt}`))
	require.NoError(t, err)
	e.write(t, "console-ca.crt", string(pem))
	return pem
}

// consoleAnswers asks for the console's first page as a browser does that
// trusts the console's authority.
func (e *enterprise) consoleAnswers(t *testing.T, url string) {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(e.consoleAuthority(t)))
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", page)
	require.Contains(t, answer.Request.URL.Path, "login")
	require.Contains(t, string(page), `type="password"`)
	t.Logf("the console is at %s", answer.Request.URL)
}

// administrate gives the jump host a token of the console's administrator, for
// the commands that call it.
func (e *enterprise) administrate(t *testing.T, url string) {
	t.Helper()
	e.consoleAuthority(t)
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(e.dir, "state", "kubeconfig"))
	require.NoError(t, err)
	s, keeper := consoles.Open(t, config)
	token := consoles.Token(t, auth.New(s, audit.New(s, audit.Options{}), auth.Options{Keeper: keeper}))
	e.variables = append(e.variables, "SEALIFT_CONSOLE="+url, "SEALIFT_TOKEN="+token)
}

// console runs a command on the jump host that calls the console.
func (e *enterprise) console(t *testing.T, args ...string) string {
	t.Helper()
	return string(e.sealift(t, append(args, "--console-ca", "console-ca.crt")...))
}

// upgradeByConsole sends a bundle through the console into the site's registry,
// and lets the console upgrade the cluster that it runs in.
func (e *enterprise) upgradeByConsole(t *testing.T, bundle, version string) {
	t.Helper()
	e.console(t, "admin", "registry", "add-site")
	e.console(t, "admin", "registry", "upload", bundle, "site")
	t.Log(e.console(t, "cluster", "upgrade", "plan", version))
	t.Log(e.console(t, "cluster", "upgrade", "begin", version, "--confirm", "enterprise", "--wait"))
	require.Contains(t, e.console(t, "cluster", "upgrade", "status"), "is done")
	require.Contains(t, e.console(t, "cluster", "components"), version)
}
