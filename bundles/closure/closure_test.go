package closure_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/packs"
)

// add makes an artifact a root of a bundle.
func add(b *archivetest.Builder, kind, ref string, a *artifact.Artifact, subject digest.Digest) content.Descriptor {
	b.Contents.Blobs = append(b.Contents.Blobs, a.Descriptor)
	b.Contents.Documents[a.Descriptor.Digest] = a.Manifest
	for _, data := range a.Blobs {
		b.Blob("application/octet-stream", data)
	}
	b.Contents.Roots = append(b.Contents.Roots, archive.Root{Kind: kind, Requested: ref, Reference: ref, Resolved: ref, Descriptor: a.Descriptor,
		Platforms: []string{}, Subject: subject})
	return a.Descriptor
}

// prove writes the bundle and returns what Prove says.
func prove(t *testing.T, b *archivetest.Builder) []string {
	t.Helper()
	faults, err := closure.Prove(t.Context(), archivetest.Open(t, b.Write()))
	require.NoError(t, err)
	out := []string{}
	for _, f := range faults {
		require.ErrorIs(t, f, closure.ErrMissing)
		out = append(out, f.Error())
	}
	return out
}

func chartOf(t *testing.T) *charts.Chart {
	t.Helper()
	c, err := charts.LoadFS(fstest.MapFS{
		"Chart.yaml":         {Data: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
		"values.yaml":        {Data: []byte("image: quay.io/team/default:1\n")},
		"templates/pod.yaml": {Data: []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: '{{ .Values.image }}'}]}\n")}})
	require.NoError(t, err)
	return c
}

func chart(t *testing.T, b *archivetest.Builder) content.Descriptor {
	a, err := chartOf(t).Artifact()
	require.NoError(t, err)
	return add(b, archive.RootChart, "sealift.local/charts/web:1.0.0", a, "")
}

func TestProveFindsWhatAChartNeeds(t *testing.T) {
	b := archivetest.New(t)
	chart(t, b)
	require.Equal(t, []string{"chart sealift.local/charts/web:1.0.0 needs the image quay.io/team/default:1 (certain, web/templates/pod.yaml Pod/web spec.containers[0].image): needed, but not in the bundle"},
		prove(t, b), "although the statement does not say so")

	b = archivetest.New(t)
	chart(t, b)
	b.Root("quay.io/team/default:1", b.Image("amd64", "layer"))
	require.Empty(t, prove(t, b))

	b = archivetest.New(t)
	chart(t, b)
	b.Contents.AllowMissing = []archive.Allowance{{Match: "quay.io/team/*", Reason: "never used"}}
	require.Empty(t, prove(t, b))
}

func TestProveUsesTheValuesThatTravel(t *testing.T) {
	b := archivetest.New(t)
	subject := chart(t, b)
	settings := closure.Settings{Namespace: "web", Sets: []closure.Set{{YAML: []byte("image: quay.io/team/main:1\n")}, {Name: "ha", YAML: []byte("image: quay.io/team/ha:1\n")}}}
	a, err := settings.Artifact(subject)
	require.NoError(t, err)
	add(b, archive.RootValues, "sealift.local/charts/web@"+a.Descriptor.Digest.String(), a, subject.Digest)
	got := prove(t, b)
	require.Len(t, got, 2)
	require.Contains(t, got[0], "quay.io/team/ha:1")
	require.Contains(t, got[1], "quay.io/team/main:1")

	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	require.NoError(t, err)
	back, err := closure.ReadSettings(t.Context(), a, m)
	require.NoError(t, err)
	require.Equal(t, settings, back)
}

func TestProveBelievesTheStatementToo(t *testing.T) {
	b := archivetest.New(t)
	b.Root("quay.io/team/app:1", b.Image("amd64", "layer"))
	b.Contents.Roots[0].Needs = []archive.Need{{Kind: archive.RootImage, Reference: "quay.io/team/hidden:1", Certainty: "likely", Where: "the operator"},
		{Kind: archive.RootImage, Reference: "quay.io/team/app@" + b.Contents.Roots[0].Descriptor.Digest.String(), Certainty: "likely", Where: "x"},
		{Kind: archive.RootChart, Reference: "https://charts.example.org db ^1.0", Certainty: "certain", Where: "Application/db"}}
	got := prove(t, b)
	require.Len(t, got, 2, "%v", got)
	require.Contains(t, got[0], "quay.io/team/hidden:1")
	require.Contains(t, got[1], "the chart https://charts.example.org db ^1.0")
}

func TestProveManifestsAndPacks(t *testing.T) {
	b := archivetest.New(t)
	pod := []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: quay.io/team/plain:1}]}\n")
	a, err := artifact.New(artifact.TypeManifests, []artifact.Layer{artifact.Bytes("application/yaml", "pod.yaml", pod)}, artifact.Options{})
	require.NoError(t, err)
	add(b, archive.RootManifests, "sealift.local/manifests/p:1.0.0", a, "")

	dir := t.TempDir()
	for name, data := range map[string]string{
		"pack.json":            `{"name": "cache", "displayName": "Cache", "version": "1.0.0", "layer": "addon", "kubeManifests": ["manifests/cache.yaml"]}`,
		"values.yaml":          "pack: {content: {images: [{image: quay.io/team/listed:1}]}}\nmanifests: {cache: {tag: '7'}}\n",
		"manifests/cache.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: 'x-{{ .spectro.system.cluster.name }}'}\nspec: {containers: [{name: c, image: 'quay.io/team/cache:{{ .Values.tag }}'}]}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	pack, err := packs.Open(t.Context(), dir)
	require.NoError(t, err)
	defer pack.Close()
	packed, err := pack.Artifact(t.Context())
	require.NoError(t, err)
	for _, l := range packed.Layers {
		data, err := content.ReadAll(t.Context(), packed, l.Descriptor, 1<<20)
		require.NoError(t, err)
		b.Blob("application/octet-stream", data)
	}
	add(b, archive.RootPack, "sealift.local/spectro-packs/archive/cache:1.0.0", packed.Artifact, "")
	got := prove(t, b)
	require.Len(t, got, 3, "%v", got)
	require.Contains(t, got[0], "manifests sealift.local/manifests/p:1.0.0 needs the image quay.io/team/plain:1")
	require.Contains(t, got[1], "quay.io/team/cache:7")
	require.Contains(t, got[2], "quay.io/team/listed:1")
}

func TestProveOfADeltaWithoutItsBase(t *testing.T) {
	whole := archivetest.New(t)
	chart(t, whole)
	base := archivetest.Open(t, whole.Write())
	b := archivetest.New(t)
	chart(t, b)
	b.Contents.Roots[0].Needs = []archive.Need{{Kind: archive.RootImage, Reference: "quay.io/team/default:1", Certainty: "certain", Where: "pod.yaml"}}
	b.Over(base)
	got := prove(t, b)
	require.Len(t, got, 1, "what the statement says is known all the same")
	require.Contains(t, got[0], "quay.io/team/default:1")
}

func TestProveOfWhatIsNoChart(t *testing.T) {
	b := archivetest.New(t)
	a, err := artifact.New(artifact.TypeFile, []artifact.Layer{artifact.Bytes("text/plain", "a", []byte("a"))}, artifact.Options{})
	require.NoError(t, err)
	add(b, archive.RootChart, "sealift.local/charts/web:1.0.0", a, "")
	faults, err := closure.Prove(t.Context(), archivetest.Open(t, b.Write()))
	require.NoError(t, err)
	require.Len(t, faults, 1)
	require.ErrorIs(t, faults[0], charts.ErrChart)
}
