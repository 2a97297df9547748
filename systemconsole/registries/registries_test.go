package registries

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	upstream "github.com/sealift/sealift/test/registries"
)

func newService(t *testing.T) *Service {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	return New(s, audit.New(s, audit.Options{}), keeper, Options{})
}

// started is a server with TLS whose authority is private; pem is that one.
func started(t *testing.T, h http.Handler) (host, pem string) {
	t.Helper()
	authority := upstream.NewAuthority(t)
	server := upstream.Start(t, h, upstream.Options{TLS: authority.Server(time.Now().Add(time.Hour), false)})
	data, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	return upstream.Host(server), string(data)
}

// distribution is the distribution project's own, with one user when there is a
// password.
func distribution(t *testing.T, password string) http.Handler {
	t.Helper()
	opts := serve.RegistryOptions{Data: t.TempDir()}
	if password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		require.NoError(t, err)
		opts.Htpasswd = filepath.Join(t.TempDir(), "htpasswd")
		require.NoError(t, os.WriteFile(opts.Htpasswd, []byte("sealift:"+string(hash)+"\n"), 0o600))
	}
	h, closeRegistry, err := serve.Registry(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closeRegistry()) })
	return h
}

func (s *Service) validated(t *testing.T, d Draft) Registry {
	t.Helper()
	require.NoError(t, s.Add(t.Context(), d))
	item, err := s.Validate(t.Context(), d.Name)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), item.Value.Checked, time.Minute)
	return item.Value
}

func TestValidateSaysWhatIsWrong(t *testing.T) {
	s := newService(t)
	host, ca := started(t, distribution(t, "right"))
	_, otherCA := started(t, distribution(t, ""))
	none, noneCA := started(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>a wiki</html>") }))
	broken, brokenCA := started(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	for what, c := range map[string]struct {
		draft Draft
		says  string
	}{
		"right":              {Draft{Name: "right", Endpoint: host, Username: "sealift", Password: "right", CA: ca}, ""},
		"wrong-password":     {Draft{Name: "wrong-password", Endpoint: host, Username: "sealift", Password: "wrong", CA: ca}, "401"},
		"no-password":        {Draft{Name: "no-password", Endpoint: host, CA: ca}, "unauthorized"},
		"no-ca":              {Draft{Name: "no-ca", Endpoint: host, Username: "sealift", Password: "right"}, "certificate"},
		"wrong-ca":           {Draft{Name: "wrong-ca", Endpoint: host, Username: "sealift", Password: "right", CA: otherCA}, "certificate"},
		"unreachable":        {Draft{Name: "unreachable", Endpoint: "127.0.0.1:1"}, "refused"},
		"no-such-host":       {Draft{Name: "no-such-host", Endpoint: "registry.invalid"}, "registry.invalid"},
		"not-a-registry":     {Draft{Name: "not-a-registry", Endpoint: none, CA: noneCA}, "not as a registry does"},
		"broken":             {Draft{Name: "broken", Endpoint: broken, CA: brokenCA}, "502"},
		"no-chart-index":     {Draft{Name: "no-chart-index", Type: Helm, Endpoint: "https://" + host, Username: "sealift", Password: "right", CA: ca}, "index.yaml"},
		"charts-unreachable": {Draft{Name: "charts-unreachable", Type: Helm, Endpoint: "https://127.0.0.1:1/charts"}, "refused"},
	} {
		t.Run(what, func(t *testing.T) {
			if c.draft.Type == "" {
				c.draft.Type = OCI
			}
			r := s.validated(t, c.draft)
			if c.says == "" {
				require.Empty(t, r.Failure)
				require.Equal(t, "0 repositories", r.Found)
				return
			}
			require.Contains(t, r.Failure, c.says)
		})
	}
}

// What failed and works again is seen to work, and the reverse.
func TestValidateForgetsWhatWas(t *testing.T) {
	s := newService(t)
	ok := true
	behind := distribution(t, "")
	host, ca := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	require.Empty(t, s.validated(t, Draft{Name: "site", Type: OCI, Endpoint: host, CA: ca}).Failure)
	for _, ok = range []bool{false, true} {
		item, err := s.Validate(t.Context(), "site")
		require.NoError(t, err)
		require.Equal(t, ok, item.Value.Failure == "", "%+v", item.Value)
	}
	_, err := s.Validate(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// push puts an image or an index into a registry.
func push(t *testing.T, client *http.Client, reference string, what any) v1.Hash {
	t.Helper()
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	opts := []remote.Option{remote.WithTransport(client.Transport), remote.WithAuth(authn.Anonymous), remote.WithContext(t.Context())}
	var hash v1.Hash
	switch v := what.(type) {
	case v1.Image:
		require.NoError(t, remote.Write(ref, v, opts...))
		hash, err = v.Digest()
	case v1.ImageIndex:
		require.NoError(t, remote.WriteIndex(ref, v, opts...))
		hash, err = v.Digest()
	}
	require.NoError(t, err)
	return hash
}

func TestContentsHaveSizesAndSignatures(t *testing.T) {
	s := newService(t)
	authority := upstream.NewAuthority(t)
	server := upstream.Start(t, distribution(t, ""), upstream.Options{TLS: authority.Server(time.Now().Add(time.Hour), false)})
	host := upstream.Host(server)
	image, err := random.Image(5000, 2)
	require.NoError(t, err)
	other, err := random.Image(3000, 1)
	require.NoError(t, err)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: other})
	digest := push(t, server.Client(), host+"/apps/one:1.0", image)
	push(t, server.Client(), host+"/apps/one:sha256-"+digest.Hex+".sig", other)
	push(t, server.Client(), host+"/apps/one:multi", index)
	push(t, server.Client(), host+"/elsewhere/two:1", other)
	ca, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	r := s.validated(t, Draft{Name: "site", Type: OCI, Endpoint: host, Prefix: "apps", CA: string(ca)})
	require.Equal(t, "1 repositories", r.Found, "of the prefix only")
	names, err := s.Names(t.Context(), "site")
	require.NoError(t, err)
	require.Equal(t, []string{"apps/one"}, names)
	entries, err := s.Entries(t.Context(), "site", "apps/one")
	require.NoError(t, err)
	require.Len(t, entries, 2, "signatures stand beside what they are of")
	require.Equal(t, Entry{Name: "1.0", Digest: digest.String(), Size: entries[0].Size, Signed: true, Kind: "image"}, entries[0])
	require.Equal(t, "index", entries[1].Kind)
	require.False(t, entries[1].Signed)
	require.Greater(t, entries[0].Size, int64(10000), "two layers of 5,000 bytes, their configuration and the manifest")
	require.Greater(t, entries[1].Size, int64(3000))
	require.Less(t, entries[1].Size, int64(10000))
	_, err = s.Entries(t.Context(), "site", "apps/none")
	require.Error(t, err)
}

func TestChartRepositories(t *testing.T) {
	s := newService(t)
	index := "apiVersion: v1\nentries:\n  web:\n    - {name: web, version: 1.2.0, digest: abc}\n    - {name: web, version: 1.1.0}\n  db:\n    - {name: db, version: 2.0.0}\n"
	host, ca := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/charts/index.yaml" {
			fmt.Fprint(w, index)
			return
		}
		fmt.Fprint(w, "]no yaml")
	}))
	r := s.validated(t, Draft{Name: "charts", Type: Helm, Endpoint: "https://" + host + "/charts/", CA: ca})
	require.Equal(t, "2 charts", r.Found)
	names, err := s.Names(t.Context(), "charts")
	require.NoError(t, err)
	require.Equal(t, []string{"db", "web"}, names)
	entries, err := s.Entries(t.Context(), "charts", "web")
	require.NoError(t, err)
	require.Equal(t, []Entry{{Name: "1.2.0", Digest: "abc", Kind: "chart"}, {Name: "1.1.0", Kind: "chart"}}, entries)
	require.Contains(t, s.validated(t, Draft{Name: "wiki", Type: Helm, Endpoint: "https://" + host, CA: ca}).Failure, "index")
}

func TestDrafts(t *testing.T) {
	s := newService(t)
	good := Draft{Name: "site", Type: OCI, Endpoint: "registry.site:5000", Username: "u", Password: "secret"}
	require.NoError(t, s.Add(t.Context(), good))
	item, err := s.Get(t.Context(), "site")
	require.NoError(t, err)
	require.NotContains(t, item.Value.Password, "secret")
	for field, change := range map[string]func(*Draft){
		"name":     func(d *Draft) { d.Name = "site" },
		"type":     func(d *Draft) { d.Name, d.Type = "a", "ftp" },
		"endpoint": func(d *Draft) { d.Name, d.Endpoint = "a", "http://x/y" },
		"prefix":   func(d *Draft) { d.Name, d.Prefix = "a", "UPPER" },
		"username": func(d *Draft) { d.Name, d.Password = "a", "" },
		"ca":       func(d *Draft) { d.Name, d.CA = "a", "nonsense" },
		"key":      func(d *Draft) { d.Name, d.Key = "a", "nonsense" },
	} {
		d := good
		change(&d)
		problems, ok := form.From(s.Add(t.Context(), d))
		require.True(t, ok, field)
		require.NotEmpty(t, problems.Of(field), field)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, text := range []string{private, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"} {
		problems, ok := form.From(s.Add(t.Context(), Draft{Name: "a", Type: OCI, Endpoint: "host", CA: text, Key: text}))
		require.True(t, ok)
		require.NotEmpty(t, problems.Of("ca"), text)
		require.NotEmpty(t, problems.Of("key"), text)
	}
	for _, endpoint := range []string{"http://charts", "https://user:secret@charts", "charts", "https://"} {
		problems, ok := form.From(s.Add(t.Context(), Draft{Name: "b", Type: Helm, Endpoint: endpoint}))
		require.True(t, ok && problems.Of("endpoint") != "", endpoint)
	}
	require.NoError(t, s.Remove(t.Context(), "site"))
	require.ErrorIs(t, s.Remove(t.Context(), "site"), store.ErrNotFound)
}

// What nobody went on with goes, also where there is no limit of room.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	u, err := NewUploads(t.Context(), newService(t), dir, UploadOptions{})
	require.NoError(t, err)
	id, err := u.Receive(t.Context(), "a.bundle", 100, strings.NewReader("abc"))
	require.NoError(t, err)
	got, err := u.Get(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, 3, got.Size)
	u.Sweep(t.Context(), time.Now().Add(forgotten-time.Hour))
	_, err = u.Get(t.Context(), id)
	require.NoError(t, err)
	u.Sweep(t.Context(), time.Now().Add(forgotten+time.Hour))
	_, err = u.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	_, err = u.Receive(t.Context(), "a", MaxUpload+1, strings.NewReader(""))
	require.ErrorContains(t, err, "at most")
	_, err = u.Receive(t.Context(), "a", -1, strings.NewReader(""))
	require.ErrorContains(t, err, "at most")
	require.ErrorIs(t, u.Remove(t.Context(), "../../etc/passwd"), store.ErrNotFound)
}
