// Package transit is a key management service for tests.
package transit

import (
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

// Start starts a key management service behind TLS, and returns how it is reached.
func Start(t *testing.T) seal.TransitOptions {
	t.Helper()
	first, err := seal.NewKey(seal.NewSecret())
	require.NoError(t, err)
	var handler http.Handler = &engine{versions: []*seal.Key{first}}
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
