package seal_test

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/test/transit"
)

func TestTransit(t *testing.T) {
	opts := transit.Start(t)
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
	good := transit.Start(t)
	wrong := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(wrong, []byte("wrong"), 0o600))
	binary, empty := filepath.Join(t.TempDir(), "binary"), filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(binary, []byte{'s', '.', 0, 0xff}, 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for what, c := range map[string]struct {
		change func(*seal.TransitOptions)
		says   string
	}{
		"no TLS":    {func(o *seal.TransitOptions) { o.Address = "http://127.0.0.1:1" }, "no https:// address"},
		"bad key":   {func(o *seal.TransitOptions) { o.Key = "../sys/seal" }, "no name of a key"},
		"no token":  {func(o *seal.TransitOptions) { o.TokenFile = "none" }, "reading its token"},
		"binary":    {func(o *seal.TransitOptions) { o.TokenFile = binary }, binary + " holds none"},
		"empty":     {func(o *seal.TransitOptions) { o.TokenFile = empty }, empty + " holds none"},
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
			require.NotEmpty(t, problem.Remedies(err))
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
