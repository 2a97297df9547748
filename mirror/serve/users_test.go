package serve_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/serve"
)

func TestUsersOfARegistry(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users")
	set := func(name, password string) bool {
		t.Helper()
		replaced, err := serve.SetUser(file, name, []byte(password))
		require.NoError(t, err)
		return replaced
	}
	require.False(t, set("ada", "first"))
	require.False(t, set("grace", "hopper"))
	require.True(t, set("ada", "second"))
	h, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: filepath.Join(dir, "data"), Htpasswd: file})
	require.NoError(t, err)
	t.Cleanup(func() { _ = closeRegistry() })
	code := func(name, password string) int {
		req := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		req.SetBasicAuth(name, password)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code
	}
	require.Equal(t, http.StatusOK, code("grace", "hopper"))
	require.Equal(t, http.StatusOK, code("ada", "second"))
	require.Equal(t, http.StatusUnauthorized, code("ada", "first"))

	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `^ada:\$2a\$05\$.{53}\ngrace:\$2a\$05\$.{53}\n$`, string(data))
}

// What others wrote stays, and a file of something else is not touched.
func TestUsersBesideOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	const theirs = "# of the site\n\nbob:$2y$05$abcdefghijklmnopqrstuuXQ0u3u5Zb5h0OAtl2s7dZQb0gZJ4Q9e\n"
	require.NoError(t, os.WriteFile(file, []byte(theirs), 0o644))
	_, err := serve.SetUser(file, "ada", []byte("x"))
	require.NoError(t, err)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(data), theirs+"ada:"), "%s", data)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o644, info.Mode().Perm(), "a registry of another user reads it")

	require.NoError(t, os.WriteFile(file, []byte("kind: Site\n"), 0o600))
	_, err = serve.SetUser(file, "ada", []byte("x"))
	require.ErrorContains(t, err, "users, line 1: not USER:HASH")
	data, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "kind: Site\n", string(data))
}

func TestUsersThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for _, name := range []string{"", "a:b", "a\nb:x", " a", "#a", "a\x00"} {
		_, err := serve.SetUser(file, name, []byte("x"))
		require.Equal(t, problem.Usage, problem.KindOf(err), "%q", name)
	}
	for _, password := range []string{"", strings.Repeat("x", 73)} {
		_, err := serve.SetUser(file, "ada", []byte(password))
		require.Equal(t, problem.Usage, problem.KindOf(err))
		require.NotContains(t, err.Error(), "xx")
	}
	require.NoFileExists(t, file)
}
