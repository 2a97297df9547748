package faults_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

// badLine is a site whose upstream registry has faults once it is filled.
func badLine(t *testing.T, faults ...registries.Fault) *site {
	on := false
	layer := registries.Faults(faults...)
	s := &site{t: t, dir: t.TempDir()}
	s.upstream = registries.Host(registries.Distribution(t, registries.Options{Wrap: func(h http.Handler) http.Handler {
		bad := layer(h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if on {
				bad.ServeHTTP(w, r)
			} else {
				h.ServeHTTP(w, r)
			}
		})
	}}))
	ref := s.upstream + "/team/app:1"
	require.NoError(t, images.Push(ref, "app", 300_000, "linux/amd64", "linux/arm64"))
	text := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: faults, version: 1.0.0}\nspec: {images: [" + ref + "]}\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "bundle.yaml"), []byte(text), 0o600))
	s.makeKey()
	s.must(s.create("good.tar"))
	require.NoError(t, os.Remove(filepath.Join(s.dir, "bundle.lock.yaml")))
	on = true
	return s
}

// TestCreateOverABadLine makes the same file whatever the line does to it.
func TestCreateOverABadLine(t *testing.T) {
	for name, faults := range map[string][]registries.Fault{
		"429":             {{Method: "GET", Times: 3, Do: registries.Status(http.StatusTooManyRequests, "Retry-After", "0")}},
		"503":             {{Method: "GET", Times: 2, Do: registries.Status(http.StatusServiceUnavailable, "Retry-After", "0")}},
		"bodies cut":      {{Method: "GET", Path: "/blobs/", Times: 4, Through: registries.CutAfter(50_000)}},
		"wrong bytes":     {{Method: "GET", Path: "/blobs/", Times: 1, Through: registries.WrongBytes}},
		"HEAD is refused": {{Method: "HEAD", Path: "/manifests/", Do: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }}},
	} {
		t.Run(name, func(t *testing.T) {
			s := badLine(t, faults...)
			s.must(s.create("b.tar"))
			require.True(t, bytes.Equal(s.read("good.tar"), s.read("b.tar")))
		})
	}
}

// TestStreamOverABadLine is the same for a bundle that is encrypted as it is made.
func TestStreamOverABadLine(t *testing.T) {
	for name, faults := range map[string][]registries.Fault{
		"429":         {{Method: "GET", Times: 3, Do: registries.Status(http.StatusTooManyRequests, "Retry-After", "0")}},
		"bodies cut":  {{Method: "GET", Path: "/blobs/", Times: 4, Through: registries.CutAfter(50_000)}},
		"no ranges":   {{Method: "GET", Path: "/blobs/", Times: 2, Through: registries.CutAfter(50_000)}, {Method: "GET", Path: "/blobs/", Through: registries.WithoutRanges}},
		"wrong bytes": {{Method: "GET", Path: "/blobs/", Times: 1, Through: registries.WrongBytes}},
	} {
		t.Run(name, func(t *testing.T) {
			s := badLine(t, faults...)
			recipient := s.ageKey()
			cmd := s.create("b.age")
			cmd.Args = append(cmd.Args, "--recipient", recipient)
			s.must(cmd)
			s.must(s.command("bundle", "decrypt", "b.age", "-o", "b.tar", "--identity", "age.key"))
			require.True(t, bytes.Equal(s.read("good.tar"), s.read("b.tar")))
		})
	}
	s := badLine(t, registries.Fault{Method: "GET", Path: "/blobs/", Through: registries.WrongBytes})
	cmd := s.create("b.age")
	cmd.Args = append(cmd.Args, "--recipient", s.ageKey())
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "does not match")
	left, err := filepath.Glob(filepath.Join(s.dir, "b.age*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestCreateRefusesLies leaves no bundle when the registry does not give what it announced.
func TestCreateRefusesLies(t *testing.T) {
	for name, c := range map[string]struct {
		fault registries.Fault
		code  int
		want  string
	}{
		"wrong layers":    {registries.Fault{Method: "GET", Path: "/blobs/", Through: registries.WrongBytes}, 5, "does not match"},
		"wrong manifests": {registries.Fault{Method: "GET", Path: "/manifests/", Through: registries.WrongBytes}, 1, "does not match"},
		"wrong length":    {registries.Fault{Method: "GET", Path: "/blobs/", Through: registries.AnnounceMore("9")}, 5, "announces 9 bytes"},
		"401":             {registries.Fault{Do: registries.Status(http.StatusUnauthorized)}, 1, "unauthorized"},
		"403":             {registries.Fault{Do: registries.Status(http.StatusForbidden)}, 1, "forbidden"},
		"404":             {registries.Fault{Do: registries.Status(http.StatusNotFound)}, 1, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := badLine(t, c.fault)
			cmd := s.create("b.tar")
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, c.code, cmd.ProcessState.ExitCode(), string(out))
			require.Contains(t, string(out), c.want)
			require.NoFileExists(t, filepath.Join(s.dir, "b.tar"))
		})
	}
}
