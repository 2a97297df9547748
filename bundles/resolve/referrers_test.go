package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/images"
)

// keyPair makes a key pair and returns its prefix and a signer of it.
func keyPair(t *testing.T) (prefix string, signer *sign.Signer) {
	t.Helper()
	prefix = filepath.Join(t.TempDir(), "cosign")
	passphrase := func() ([]byte, error) { return []byte("x"), nil }
	require.NoError(t, sign.WriteKeyPair(prefix, passphrase))
	signer, err := sign.NewSigner(t.Context(), prefix+".key", sign.Options{Passphrase: passphrase})
	require.NoError(t, err)
	t.Cleanup(signer.Close)
	return prefix, signer
}

// refer pushes an artifact whose subject is what a reference names, and returns its digest.
func (r *registry) refer(t *testing.T, ref string, seed int64) string {
	t.Helper()
	to, err := name.ParseReference(r.host+"/"+ref, name.Insecure)
	require.NoError(t, err)
	subject, err := ggcr.Head(to)
	require.NoError(t, err)
	img, ok := mutate.Subject(oci(image(t, seed, "linux/amd64")), *subject).(v1.Image)
	require.True(t, ok)
	digest := digestOf(t, img)
	require.NoError(t, ggcr.Write(to.Context().Digest(digest), img))
	return digest
}

func kinds(r *resolve.Result) []string {
	var out []string
	for _, root := range r.Roots {
		out = append(out, root.Kind+" "+root.Reference[strings.LastIndex(root.Reference, "/")+1:])
	}
	return out
}

func TestReferrersTravelAtAllLevels(t *testing.T) {
	r := startRegistry(t)
	_, signer := keyPair(t)
	index := multi(t, 1, "linux/amd64", "linux/arm64")
	top := r.push(t, "library/a:1", index)
	require.NoError(t, images.Sign(t.Context(), r.host+"/library/a:1", signer))
	signature := "sha256-" + strings.TrimPrefix(top, "sha256:") + ".sig"
	require.NoError(t, images.Sign(t.Context(), r.host+"/library/a:"+signature, signer)) // a signature that is signed
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	child, left := manifest.Manifests[0].Digest.String(), manifest.Manifests[1].Digest.String()
	require.NoError(t, images.Sign(t.Context(), r.host+"/library/a@"+child, signer))
	require.NoError(t, images.Sign(t.Context(), r.host+"/library/a@"+left, signer)) // of a platform that stays behind
	first := r.refer(t, "library/a:1", 50)
	second := r.refer(t, "library/a@"+first, 51)

	def := bundle(t, []string{"linux/amd64"}, r.host+"/library/a:1")
	got, err := resolve.Resolve(t.Context(), def, r, resolve.Options{})
	require.NoError(t, err)
	require.Len(t, got.Roots, 6, "%v", kinds(got))
	at := map[string]int{}
	for i, root := range got.Roots {
		at[root.Descriptor.Digest.String()] = i
		if i > 0 {
			require.Equal(t, archive.RootReferrer, root.Kind)
			require.Less(t, at[root.Subject.String()], i, "a subject stands before what refers to it")
		}
	}
	require.Contains(t, at, first)
	require.Equal(t, first, got.Roots[at[second]].Subject.String())
	require.Contains(t, strings.Join(kinds(got), " "), signature)
	require.NotContains(t, strings.Join(kinds(got), " "), strings.TrimPrefix(left, "sha256:")+".sig")

	// With the lock the same comes out, also when more refers to it by now.
	r.refer(t, "library/a:1", 52)
	again, err := resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: got.Lock})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(got, again, sameFrom))
	anew, err := resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: got.Lock, UpdateLock: true})
	require.NoError(t, err)
	require.Len(t, anew.Roots, 7)

	r.remove(t, "library/a@"+second)
	_, err = resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: got.Lock})
	require.ErrorIs(t, err, resolve.ErrMoved)
	require.ErrorContains(t, err, second)
}

// deaf breaks the line for some questions.
type deaf struct {
	content.Source
	resolve, list bool
}

var errLine = errors.New("connection reset")

func (d deaf) Resolve(ctx context.Context, ref string) (content.Descriptor, error) {
	if d.resolve && strings.HasSuffix(ref, ".sig") {
		return content.Descriptor{}, errLine
	}
	return d.Source.Resolve(ctx, ref)
}

func (d deaf) Referrers(context.Context, content.Descriptor) ([]content.Descriptor, error) {
	if d.list {
		return nil, errLine
	}
	return nil, nil
}

func TestALineThatBreaksIsNotUnsigned(t *testing.T) {
	for name, d := range map[string]deaf{"the signature's tag": {resolve: true}, "the list of referrers": {list: true}} {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t)
			r.push(t, "library/a:1", oci(image(t, 1, "linux/amd64")))
			r.wrap = func(s content.Source) content.Source { return deaf{s, d.resolve, d.list} }
			_, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/a:1"), r, resolve.Options{})
			require.ErrorIs(t, err, errLine)
			require.ErrorContains(t, err, "looking for signatures")
		})
	}
}

// eager answers every tag with the same image.
type eager struct{ content.Source }

func (e eager) Resolve(ctx context.Context, ref string) (content.Descriptor, error) {
	if strings.HasPrefix(ref, "sha256-") {
		ref = "1"
	}
	return e.Source.Resolve(ctx, ref)
}

func TestAnImageIsNoSignatureOfItself(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "library/a:1", oci(image(t, 1, "linux/amd64")))
	r.wrap = func(s content.Source) content.Source { return eager{s} }
	got, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/a:1"), r, resolve.Options{})
	require.NoError(t, err)
	require.Len(t, got.Roots, 1)
}

func TestVerifyRules(t *testing.T) {
	r := startRegistry(t)
	good, signer := keyPair(t)
	other, _ := keyPair(t)
	for i, repo := range []string{"team/signed", "team/unsigned", "team/forged"} {
		r.push(t, repo+":1", oci(image(t, int64(i), "linux/amd64")))
	}
	require.NoError(t, images.Sign(t.Context(), r.host+"/team/signed:1", signer))
	r.forge(t, "team/signed", "team/forged")

	for name, c := range map[string]struct {
		repo  string
		rules []definition.VerifyRule
		want  string
	}{
		"signed":                     {"team/signed", []definition.VerifyRule{{Match: "*/team/*", Key: good + ".pub"}}, ""},
		"no rule matches":            {"team/unsigned", []definition.VerifyRule{{Match: "quay.io/**", Key: good + ".pub"}}, ""},
		"the first rule decides":     {"team/unsigned", []definition.VerifyRule{{Match: "*/team/unsigned", Key: definition.KeyNone}, {Match: "**", Key: good + ".pub"}}, ""},
		"not signed":                 {"team/unsigned", []definition.VerifyRule{{Match: "**", Key: good + ".pub"}}, "it is not signed"},
		"signed by somebody else":    {"team/signed", []definition.VerifyRule{{Match: "**", Key: other + ".pub"}}, "does not verify"},
		"a signature for another":    {"team/forged", []definition.VerifyRule{{Match: "**", Key: good + ".pub"}}, "the signature is for sha256:"},
		"a key that is not there":    {"team/signed", []definition.VerifyRule{{Match: "**", Key: "nothere.pub"}}, "nothere.pub"},
		"a pattern with its own key": {"team/signed", []definition.VerifyRule{{Match: "*/team/s*", Key: good + ".pub"}, {Match: "**", Key: other + ".pub"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			def := bundle(t, nil, r.host+"/"+c.repo+":1")
			def.Spec.Verify = c.rules
			_, err := resolve.Resolve(t.Context(), def, r, resolve.Options{})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			if !strings.HasPrefix(name, "a key") {
				require.ErrorIs(t, err, resolve.ErrUnsigned)
				require.Equal(t, problem.Verification, problem.KindOf(err))
			}
		})
	}
}

// forge puts the signature of one image beside another.
func (r *registry) forge(t *testing.T, from, to string) {
	t.Helper()
	digestIn := func(repo string) string {
		ref, err := name.ParseReference(r.host+"/"+repo+":1", name.Insecure)
		require.NoError(t, err)
		d, err := ggcr.Head(ref)
		require.NoError(t, err)
		return d.Digest.Hex
	}
	source, err := name.ParseReference(r.host+"/"+from+":sha256-"+digestIn(from)+".sig", name.Insecure)
	require.NoError(t, err)
	signature, err := ggcr.Image(source)
	require.NoError(t, err)
	r.push(t, to+":sha256-"+digestIn(to)+".sig", signature)
}

// definitionIn writes files to a folder and loads bundle.yaml of it.
func definitionIn(t *testing.T, files map[string]string) *definition.Bundle {
	t.Helper()
	dir := t.TempDir()
	writeAll(t, dir, files)
	def, err := definition.Load(filepath.Join(dir, "bundle.yaml"))
	require.NoError(t, err)
	return def
}

func writeAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
	}
}

const definitionHead = "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: test, version: 1.0.0}\n"

func TestChartsThatManifestsNameMustBeThere(t *testing.T) {
	application := `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: db}
spec: {source: {repoURL: https://charts.example.org, chart: db, targetRevision: 1.4.0}}
`
	files := map[string]string{"app.yaml": application, "db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.4.0\n"}
	resolveIt := func(spec string) error {
		files["bundle.yaml"] = definitionHead + spec
		_, err := resolve.Resolve(t.Context(), definitionIn(t, files), newShelf(), resolve.Options{})
		return err
	}
	err := resolveIt("spec: {manifests: [app.yaml]}\n")
	require.ErrorContains(t, err, "needs the chart https://charts.example.org db 1.4.0")
	require.ErrorContains(t, err, "needed, but not in the bundle")
	require.NoError(t, resolveIt("spec: {manifests: [app.yaml], charts: [{path: db}]}\n"))
	require.NoError(t, resolveIt("spec: {manifests: [app.yaml], allowMissing: ['https://charts.example.org**']}\n"))
}

func TestTwoThingsOfOneName(t *testing.T) {
	def := definitionIn(t, map[string]string{"a/x.iso": "1", "b/x.iso": "2", "bundle.yaml": definitionHead + "spec: {files: [a/x.iso, b/x.iso]}\n"})
	_, err := resolve.Resolve(t.Context(), def, newShelf(), resolve.Options{})
	require.ErrorContains(t, err, "a/x.iso (file) and b/x.iso (file) are both sealift.local/files/x.iso:1.0.0")
}

func TestAnImageThatIsNoChart(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "charts/a:1", oci(image(t, 1, "linux/amd64")))
	def := definitionIn(t, map[string]string{"bundle.yaml": definitionHead + fmt.Sprintf("spec: {charts: [{ref: oci://%s/charts/a:1}]}\n", r.host)})
	_, err := resolve.Resolve(t.Context(), def, r, resolve.Options{})
	require.ErrorContains(t, err, "not one that helm push makes")
}

func TestALockedFileIsNotReadAgain(t *testing.T) {
	def := definitionIn(t, map[string]string{"x.iso": "one", "bundle.yaml": definitionHead + "spec: {files: [x.iso]}\n"})
	first, err := resolve.Resolve(t.Context(), def, newShelf(), resolve.Options{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(def.Path("x.iso"), []byte("two"), 0o600))
	same, err := resolve.Resolve(t.Context(), def, newShelf(), resolve.Options{Lock: first.Lock})
	require.NoError(t, err)
	require.Equal(t, first.Roots[0].Descriptor, same.Roots[0].Descriptor, "what is in the file shows when it is carried")
	require.NoError(t, os.WriteFile(def.Path("x.iso"), []byte("three"), 0o600))
	moved, err := resolve.Resolve(t.Context(), def, newShelf(), resolve.Options{Lock: first.Lock})
	require.NoError(t, err)
	require.Len(t, moved.Moved, 1)
}
