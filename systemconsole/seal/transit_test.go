package seal_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/seal"
)

// engine answers as the transit engine of Vault and OpenBao is documented to:
// encrypt, decrypt and rotate of one key named sealift. The real ones are too
// large to be built for a test; SEALIFT_VAULT (http://HOST:PORT) and
// SEALIFT_VAULT_TOKEN run the same tests against one that has such a key.
type engine struct {
	mu       sync.Mutex
	versions []*seal.Key
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	refuse := func(status int, text string) { answer(status, map[string]any{"errors": []string{text}}) }
	if r.Header.Get("X-Vault-Token") != "right" || r.Method != http.MethodPost {
		refuse(http.StatusForbidden, "permission denied")
		return
	}
	var in struct{ Plaintext, Ciphertext string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	switch r.URL.Path {
	case "/v1/transit/encrypt/sealift":
		n := len(e.versions)
		answer(http.StatusOK, map[string]any{"data": map[string]any{"ciphertext": fmt.Sprintf("vault:v%d:%s", n, e.versions[n-1].Seal([]byte(in.Plaintext))), "key_version": n}})
	case "/v1/transit/decrypt/sealift":
		parts := strings.SplitN(in.Ciphertext, ":", 3)
		if len(parts) != 3 || parts[0] != "vault" {
			refuse(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(parts[1], "v"))
		if err != nil || n < 1 || n > len(e.versions) {
			refuse(http.StatusBadRequest, "invalid ciphertext: version is invalid")
			return
		}
		plain, err := e.versions[n-1].Open(parts[2])
		if err != nil {
			refuse(http.StatusBadRequest, "invalid ciphertext: unable to decrypt")
			return
		}
		answer(http.StatusOK, map[string]any{"data": map[string]any{"plaintext": string(plain)}})
	case "/v1/transit/keys/sealift/rotate":
		key, _ := seal.NewKey(seal.NewSecret())
		e.versions = append(e.versions, key)
		answer(http.StatusOK, map[string]any{"data": map[string]any{}})
	default:
		refuse(http.StatusNotFound, "no handler for route")
	}
}

// kms is a key management service behind TLS, and how it is reached.
func kms(t *testing.T) seal.TransitOptions {
	t.Helper()
	var handler http.Handler = &engine{versions: []*seal.Key{newKey(t)}}
	token := "right"
	if vault := os.Getenv("SEALIFT_VAULT"); vault != "" {
		address, err := url.Parse(vault)
		require.NoError(t, err)
		handler, token = httputil.NewSingleHostReverseProxy(address), os.Getenv("SEALIFT_VAULT_TOKEN")
	}
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600))
	return seal.TransitOptions{Address: server.URL, Key: "sealift", TokenFile: filepath.Join(dir, "token"), CA: filepath.Join(dir, "ca.crt")}
}

func TestTransit(t *testing.T) {
	opts := kms(t)
	k, err := seal.Transit(t.Context(), opts)
	require.NoError(t, err)
	secret := seal.NewSecret()
	wrapped, err := k.Wrap(t.Context(), secret, "acme")
	require.NoError(t, err)
	plain, err := base64.StdEncoding.DecodeString(wrapped)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(plain), "vault:v1:"), "%s", plain)
	got, err := k.Unwrap(t.Context(), wrapped, "acme")
	require.NoError(t, err)
	require.Equal(t, secret, got)
	_, err = k.Unwrap(t.Context(), wrapped, "other")
	require.ErrorIs(t, err, seal.ErrSealed)
	for _, bad := range []string{"", "x1.AAAA", base64.StdEncoding.EncodeToString([]byte("vault:v1:AAAA")), base64.StdEncoding.EncodeToString([]byte("vault:v9:" + string(plain[9:])))} {
		_, err = k.Unwrap(t.Context(), bad, "acme")
		require.ErrorIs(t, err, seal.ErrSealed, bad)
	}

	require.NoError(t, k.(seal.Rotator).Rotate(t.Context()))
	again, err := seal.Rewrap(t.Context(), k, wrapped, "acme")
	require.NoError(t, err)
	plain, err = base64.StdEncoding.DecodeString(again)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(plain), "vault:v2:"), "%s", plain)
	for _, w := range []string{wrapped, again} {
		got, err = k.Unwrap(t.Context(), w, "acme")
		require.NoError(t, err)
		require.Equal(t, secret, got)
	}
}

func TestTransitIsTriedAtTheStart(t *testing.T) {
	good := kms(t)
	wrong := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(wrong, []byte("wrong"), 0o600))
	for what, c := range map[string]struct {
		change func(*seal.TransitOptions)
		says   string
	}{
		"no TLS":    {func(o *seal.TransitOptions) { o.Address = "http://127.0.0.1:1" }, "no https:// address"},
		"bad key":   {func(o *seal.TransitOptions) { o.Key = "../sys/seal" }, "no name of a key"},
		"no token":  {func(o *seal.TransitOptions) { o.TokenFile = "none" }, "reading its token"},
		"wrong":     {func(o *seal.TransitOptions) { o.TokenFile = wrong }, "permission denied"},
		"mount":     {func(o *seal.TransitOptions) { o.Mount = "elsewhere" }, "404"},
		"authority": {func(o *seal.TransitOptions) { o.CA = "" }, "certificate"},
		"not there": {func(o *seal.TransitOptions) { o.Address = "https://127.0.0.1:1" }, "connection refused"},
	} {
		t.Run(what, func(t *testing.T) {
			opts := good
			c.change(&opts)
			_, err := seal.Transit(t.Context(), opts)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A token goes nowhere else, wherever the service sends the client.
func TestTransitFollowsNobody(t *testing.T) {
	asked := false
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	_, err := seal.Transit(t.Context(), seal.TransitOptions{Address: server.URL, Key: "k", TokenFile: filepath.Join(dir, "ca"), CA: filepath.Join(dir, "ca")})
	require.Error(t, err)
	require.False(t, asked)
}

func TestAFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	k, err := seal.File(path)
	require.NoError(t, err)
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	secret := seal.NewSecret()
	old, err := k.Wrap(t.Context(), secret, "acme")
	require.NoError(t, err)
	require.NoError(t, k.(seal.Rotator).Rotate(t.Context()))
	renewed, err := seal.Rewrap(t.Context(), k, old, "acme")
	require.NoError(t, err)
	nothing, err := seal.Rewrap(t.Context(), k, "", "acme")
	require.NoError(t, err)
	require.Empty(t, nothing)

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(text), string(first)), "the key before stays")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	again, err := seal.File(path)
	require.NoError(t, err)
	for _, w := range []string{old, renewed} {
		got, err := again.Unwrap(t.Context(), w, "acme")
		require.NoError(t, err)
		require.Equal(t, secret, got)
	}
	require.NoError(t, os.WriteFile(path, first, 0o600))
	before, err := seal.File(path)
	require.NoError(t, err)
	_, err = before.Unwrap(t.Context(), renewed, "acme")
	require.ErrorIs(t, err, seal.ErrSealed, "the new key wraps, not the one before")

	k2 := seal.After(k, before)
	got, err := k2.Unwrap(t.Context(), old, "acme")
	require.NoError(t, err)
	require.Equal(t, secret, got)
	_, err = k2.Unwrap(t.Context(), "x1.AAAA", "acme")
	require.ErrorIs(t, err, seal.ErrSealed)
}
