//go:build e2e

package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/chromium"
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

// administrate is the first login to the console, in a browser that stays. It
// gives the jump host a token of the administrator, for the commands that call
// the console.
func (e *enterprise) administrate(t *testing.T, url string) {
	t.Helper()
	e.consoleAuthority(t)
	e.browser = chromium.Start(t, strings.TrimSuffix(url, "/"))
	consoles.SignIn(e.browser, consoles.Password)
	e.browser.Visit("/me")
	e.browser.Fill("label", "jump host")
	e.browser.Run(chromedp.Evaluate(`document.querySelectorAll("[name=scopes]").forEach(s => s.checked = true)`, nil))
	e.browser.Press("form[action='/me/tokens'] button", ".secret input")
	var token string
	e.browser.Run(chromedp.Value(".secret input", &token, chromedp.ByQuery))
	e.variables = append(e.variables, "SEALIFT_CONSOLE="+url, "SEALIFT_TOKEN="+token)
}

// scale changes the number of a pool's machines on its page.
func (e *enterprise) scale(pool string, machines int) {
	e.browser.Visit("/cluster/pools/" + pool)
	e.browser.Fill("machines", strconv.Itoa(machines))
	e.browser.Press("form[action$=scale] button", ".says.good")
	e.picture("scaling")
}

// scaled waits until the page that scale left tells by itself that all machines
// are ready, which the cluster says already.
func (e *enterprise) scaled(machines int) {
	done := fmt.Sprintf("%[1]d present, %[1]d ready, %[1]d wanted", machines)
	e.browser.Until(fmt.Sprintf("document.querySelector('#live').innerText.includes(%q)", done))
	e.picture("scaled")
	e.browser.Quiet()
}

// picture keeps a picture of the console beside the logs.
func (e *enterprise) picture(name string) {
	e.browser.Picture(filepath.Join(e.lab.Logs(), "console-"+name+".png"))
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
