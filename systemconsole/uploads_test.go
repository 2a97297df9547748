package systemconsole_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/sign"
	endpoint "github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/registries"
	upstream "github.com/sealift/sealift/test/registries"
)

// signedBundle makes a small bundle and returns its path and the public key.
func signedBundle(t *testing.T) (path, key string) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "cosign")
	require.NoError(t, sign.WriteKeyPair(prefix, func() ([]byte, error) { return []byte("secret"), nil }))
	signer, err := sign.NewSigner(t.Context(), prefix+".key", sign.Options{Passphrase: func() ([]byte, error) { return []byte("secret"), nil }})
	require.NoError(t, err)
	b := archivetest.Sample(t)
	layout := b.Layout()
	path = filepath.Join(t.TempDir(), "platform.bundle")
	w, err := archive.Create(path, layout, archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	signature, err := signer.Sign(t.Context(), layout.StatementBytes())
	require.NoError(t, err)
	require.NoError(t, w.Finish(signature))
	public, err := os.ReadFile(prefix + ".pub")
	require.NoError(t, err)
	return path, string(public)
}

// siteRegistry is a real registry with TLS, and its authority in PEM.
func siteRegistry(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	authority := upstream.NewAuthority(t)
	server := upstream.Start(t, registryHandler(t), upstream.Options{TLS: authority.Server(time.Now().Add(time.Hour), false)})
	pem, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	return server, string(pem)
}

func registryHandler(t *testing.T) http.Handler {
	t.Helper()
	handler, closeRegistry, err := endpoint.Registry(t.Context(), endpoint.RegistryOptions{Data: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closeRegistry()) })
	return handler
}

func TestUploadInABrowser(t *testing.T) {
	bundle, key := signedBundle(t)
	registry, ca := siteRegistry(t)
	dir := t.TempDir()
	b := startWith(t, systemconsole.Options{Uploads: dir}).chromium(t)
	b.signIn()
	b.Visit("/registries")
	b.looks("registries-empty")
	b.Visit("/new-registry")
	b.looks("registry-new")
	b.set("name", "site", "endpoint", "https://wrong/path", "prefix", "sealift", "ca", ca, "key", key)
	b.Press("main form .first", "#endpoint-error")
	b.shot("registry-new-problem-light-1280")
	b.set("endpoint", upstream.Host(registry))
	b.Press("main form .first", ".says.good")
	require.Contains(t, b.Text("main"), "Answers")

	b.Visit("/registries")
	b.looks("registries")
	b.Run(chromedp.SetUploadFiles("#bundle", []string{bundle}, chromedp.ByQuery))
	b.Run(chromedp.Evaluate(noteProgress, nil))
	b.Press("form[data-upload] button", "#registry")
	var told string
	b.Run(chromedp.Evaluate(`sessionStorage.getItem("told")`, &told))
	require.Regexp(t, `^0 B of [0-9.]+ (K|M)iB\n[0-9.]+ KiB of [0-9.]+ (K|M)iB, [0-9.]+ [KMG]?i?B/s, [0-9]+ s left\n`, told)
	b.looks("bundle-received")
	b.Press("main form .first", "#job-title")
	b.Wait("#live .chip.good")
	require.Contains(t, b.Text("#live"), "3, 3 of them new to the registry")
	b.looks("bundle-pushed")
	b.Visit("/registries/site")
	require.Contains(t, b.Text("main"), "test 1.0.0")
	b.looks("registry")
	b.Press("#contents-title ~ ul a, .list a", "table")
	b.looks("registry-entries")
	b.refuses(t, dir, "unsigned.tar", "wrongly-signed.tar")
	b.looks("bundle-refused")
	b.Visit("/registries/site/remove")
	b.Press("main .danger.first", ".says.good")
}

// noteProgress makes chunks small, and keeps what the page says of an upload.
const noteProgress = `document.querySelector("form[data-upload]").dataset.chunk = 16384;
new MutationObserver(() => {
  const text = document.querySelector("[data-status]").textContent;
  sessionStorage.setItem("told", (sessionStorage.getItem("told") ?? "") + text + "\n");
}).observe(document.querySelector("[data-status]"), { childList: true })`

// refuses uploads bundles that a registry's key is not good for: the page says
// why nothing was pushed, and nothing of them is left.
func (b *chromium) refuses(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path, err := filepath.Abs(filepath.Join("..", "test", "vectors", name))
		require.NoError(t, err)
		b.Visit("/registries")
		b.Run(chromedp.SetUploadFiles("#bundle", []string{path}, chromedp.ByQuery))
		b.Press("form[data-upload] button", "#registry")
		b.Press("main form .first", "#job-title")
		b.Wait("#live .chip.bad")
		text := b.Text("main")
		require.Contains(t, text, "opening bundle "+name+": the signature does not verify with the key of registry site: ")
		require.Contains(t, text, "Nothing was pushed, and the file was removed.")
		require.Empty(t, left(t, dir))
	}
}

// set gives fields values at once, where typing would take long.
func (b *chromium) set(fields ...string) {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		b.Wait("#" + fields[i])
		b.Run(chromedp.Evaluate(fmt.Sprintf("document.getElementById(%q).value = %q", fields[i], fields[i+1]), nil))
	}
}

// An upload that is damaged, of somebody else's key, or of another type of
// registry brings nothing into it.
func TestUploadIsRefused(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	for _, id := range []string{"x", "..%2f..%2fetc%2fpasswd", strings.Repeat("a", 32)} {
		require.Equal(t, 404, b.get("/bundles/"+id).status, id)
	}
	for _, d := range []registries.Draft{{Name: "Bad Name"}, {Name: "a", Endpoint: "host/path"}, {Name: "a", Endpoint: "host", Username: "u"}, {Name: "a", Endpoint: "host", CA: "x"}} {
		b.get("/new-registry").send("/new-registry", "name", d.Name, "type", "oci", "endpoint", d.Endpoint, "username", d.Username, "ca", d.CA)
		require.Equal(t, 422, b.status, "%+v", d)
	}
}
