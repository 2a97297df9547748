package registry_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
)

// pushOne tries to push a blob.
func pushOne(t *testing.T, host string, opts registry.Options) error {
	opts.MinWait = time.Millisecond
	c, err := registry.NewClient(opts)
	if err != nil {
		return err
	}
	r, err := c.Repository(host + "/app")
	require.NoError(t, err)
	d, data := noise(1000)
	return r.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{})
}

func TestTLS(t *testing.T) {
	ca := registries.NewAuthority(t)
	later := time.Now().Add(time.Hour)
	host := registries.Host(registries.Distribution(t, registries.Options{TLS: ca.Server(later, false)}))
	require.NoError(t, pushOne(t, host, registry.Options{CAFile: ca.File}))
	for name, c := range map[string]struct {
		host   string
		opts   registry.Options
		remedy string
	}{
		"an authority nobody knows": {host, registry.Options{}, "--registry-ca"},
		"expired": {registries.Host(registries.Distribution(t, registries.Options{TLS: ca.Server(time.Now().Add(-time.Hour), false)})),
			registry.Options{CAFile: ca.File}, "clock"},
		"no TLS there": {registries.Host(registries.Distribution(t, registries.Options{})), registry.Options{}, "--plain-http"},
		"nobody there": {"127.0.0.1:1", registry.Options{MaxAttempts: 1}, "check host and port"},
	} {
		t.Run(name, func(t *testing.T) {
			err := pushOne(t, c.host, c.opts)
			require.Error(t, err)
			require.Contains(t, strings.Join(problem.Remedies(err), "\n"), c.remedy)
		})
	}
	require.Error(t, pushOne(t, host, registry.Options{CAFile: filepath.Join(t.TempDir(), "nothere")}))
}

// A registry that never answers is not called as often as one that is in
// trouble; one that has answered is.
func TestSilentRegistry(t *testing.T) {
	var calls atomic.Int32
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if !strings.Contains(r.URL.Path, "talks") {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(silent.Close)
	opts := registry.Options{PlainHTTP: []string{registries.Host(silent)}, MinWait: time.Millisecond, StallTimeout: 20 * time.Millisecond}
	c, err := registry.NewClient(opts)
	require.NoError(t, err)
	ask := func(repository string) error {
		r, err := c.Repository(registries.Host(silent) + "/" + repository)
		require.NoError(t, err)
		calls.Store(0)
		_, err = r.Exists(t.Context(), content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(""), Size: 1})
		return err
	}
	err = ask("silent")
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "no firewall or proxy swallows")
	require.Equal(t, int32(2), calls.Load())
	_ = ask("talks")
	require.Error(t, ask("silent"))
	require.Equal(t, int32(6), calls.Load())
}

func TestClientCertificate(t *testing.T) {
	ca := registries.NewAuthority(t)
	later := time.Now().Add(time.Hour)
	host := registries.Host(registries.Distribution(t, registries.Options{TLS: ca.Server(later, true)}))
	require.Error(t, pushOne(t, host, registry.Options{CAFile: ca.File, MaxAttempts: 1}))
	cert, key := ca.Issue("client", later)
	require.NoError(t, pushOne(t, host, registry.Options{CAFile: ca.File, CertFile: cert, KeyFile: key}))
}

// users makes a file with one user, "user", and starts a registry with it.
func users(t *testing.T) string {
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.MinCost)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "user:%s\n", hash), 0o600))
	return registries.Host(registries.Distribution(t, registries.Options{Htpasswd: file}))
}

func TestCredentials(t *testing.T) {
	host := users(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	plain := registry.Options{PlainHTTP: []string{host}}
	require.ErrorIs(t, pushOne(t, host, plain), registry.ErrUnauthorized)
	plain.Host, plain.Username, plain.Password = host, "user", "wrong"
	err := pushOne(t, host, plain)
	require.ErrorIs(t, err, registry.ErrUnauthorized)
	require.NotContains(t, err.Error(), "wrong")
	plain.Password = "password"
	require.NoError(t, pushOne(t, host, plain))
	plain.Host = "another.example"
	require.ErrorIs(t, pushOne(t, host, plain), registry.ErrUnauthorized, "credentials are for their host only")
}

func TestDockerConfiguration(t *testing.T) {
	host := users(t)
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	config := `{"auths":{"` + host + `":{"auth":"dXNlcjpwYXNzd29yZA=="}}}` // user:password
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600))
	require.NoError(t, pushOne(t, host, registry.Options{PlainHTTP: []string{host}}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600))
	require.ErrorContains(t, pushOne(t, host, registry.Options{PlainHTTP: []string{host}}), "docker's configuration")
}

// TestCredentialHelperIsAskedOnce counts the runs of a real helper program.
func TestCredentialHelperIsAskedOnce(t *testing.T) {
	host := users(t)
	dir := t.TempDir()
	helper := "#!/bin/sh\necho asked >> " + dir + "/asked\nread host\necho '{\"Username\":\"user\",\"Secret\":\"password\"}'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(helper), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"test"}`), 0o600))
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c, err := registry.NewClient(registry.Options{PlainHTTP: []string{host}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			r, err := c.Repository(fmt.Sprintf("%s/app%d", host, i))
			if err == nil {
				d, data := noise(1000 + i)
				err = r.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	require.NoError(t, err)
	require.Equal(t, "asked\n", string(asked))
}

// TestHelperFailureHidesItsOutput covers helpers that print what they know.
func TestHelperFailureHidesItsOutput(t *testing.T) {
	host := users(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte("#!/bin/sh\necho the-secret\nexit 1\n"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"test"}`), 0o600))
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	err := pushOne(t, host, registry.Options{PlainHTTP: []string{host}})
	require.ErrorContains(t, err, "credential helper")
	require.NotContains(t, err.Error(), "the-secret")
}
