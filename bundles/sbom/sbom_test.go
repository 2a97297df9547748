package sbom

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

const (
	someSPDX = `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"sbom","documentNamespace":"https://example.com/1",
"creationInfo":{"created":"2024-01-01T00:00:00Z","creators":["Tool: buildkit"]},
"packages":[{"SPDXID":"SPDXRef-image","name":"app","downloadLocation":"NOASSERTION"},
{"SPDXID":"SPDXRef-a","name":"musl","versionInfo":"1.2.5","downloadLocation":"NOASSERTION","licenseDeclared":"MIT AND LicenseRef-own",
"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:apk/alpine/musl@1.2.5?arch=x86_64"}]}],
"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-own","name":"Our own license","extractedText":"Do as you like."}],
"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-image"}]}`
	someCycloneDX = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
{"type":"operating-system","name":"alpine"},
{"type":"library","group":"@types","name":"node","version":"20.1.0","purl":"pkg:npm/%40types/node@20.1.0","licenses":[{"license":{"id":"MIT"}}],
"components":[{"type":"library","name":"inner","version":"1","licenses":[{"license":{"name":"Odd license"}}]}]}]}`
	predicateSPDX      = "https://spdx.dev/Document"
	predicateCycloneDX = "https://cyclonedx.org/bom"
)

func TestMakeScansDebian(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/debian:12", b.Image("amd64", debian(t)))
	b.Root("registry.example/team/app:1", b.Image("arm64", debian(t), files(t, map[string]string{"etc/motd": "hello"})))
	r := makeOf(t, b)
	require.Empty(t, r.Warnings)
	got := lines(r)
	require.Contains(t, got, "libssl3 3.0.19-1~deb12u2: Apache-2.0 AND Artistic-1.0-Perl AND (Artistic-1.0-Perl OR GPL-1.0-or-later) AND GPL-1.0-or-later")
	require.Contains(t, got, "netbase 6.4: GPL-2.0-only", "in a text that points to the common licenses")
	require.Contains(t, got, "zlib1g 1:1.2.13.dfsg-1: Zlib", "in a form for machines")
	require.NotContains(t, strings.Join(got, "\n"), "gone 1.0", "a package that was removed")
	require.Contains(t, string(r.SPDX), "pkg:deb/debian/bash@5.2.15-2%2Bb8?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2")
	require.Contains(t, string(r.SPDX), sourceScanned)
	require.Contains(t, string(r.CycloneDX), "pkg:oci/debian@sha256%3A")
}

func TestMakeReadsTheModulesOfGoPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("links the suite's own program")
	}
	b := archivetest.New(t)
	b.Root("registry.example/team/app:1", b.Image("amd64", program(t)))
	r := makeOf(t, b)
	require.Empty(t, r.Warnings)
	require.Equal(t, strings.TrimPrefix(runtime.Version(), "go"), versionOf(t, r, "stdlib"))
	require.Equal(t, "v1.52.0", versionOf(t, r, "github.com/anchore/syft"))
	require.Contains(t, string(r.SPDX), "pkg:golang/github.com/anchore/syft@v1.52.0")
	require.Contains(t, lines(r), "github.com/sealift/sealift : unknown", "built from a working copy, it has no version")
}

func versionOf(t *testing.T, r *Result, name string) string {
	t.Helper()
	for _, l := range r.Licenses {
		if l.Package == name {
			return l.Version
		}
	}
	require.Fail(t, "missing", "package %s", name)
	return ""
}

// full returns a bundle with every sort of root.
func full(t *testing.T) *archivetest.Builder {
	b := archivetest.New(t)
	app := b.Image("amd64", files(t, map[string]string{"a": "1"}))
	att := attach(b, nil, mediaTypeInToto, predicateSPDX, inToto(t, predicateSPDX, someSPDX, app))
	other := b.Image("arm64", debian(t))
	b.Root("docker.io/team/declared:1", b.Index(app, attestation(att, app), other))
	b.Root("docker.io/library/debian:12", b.Image("amd64", debian(t)))
	b.Root("docker.io/library/same:12", b.Image("amd64", debian(t)))
	chart, err := artifact.New("application/vnd.cncf.helm.chart.content.v1.tar+gzip", []artifact.Layer{artifact.Bytes("text/plain", "c", []byte("chart"))}, artifact.Options{})
	require.NoError(t, err)
	d := b.Document(chart.Descriptor.MediaType, json.RawMessage(chart.Manifest))
	for digest, data := range chart.Blobs {
		require.Equal(t, digest, b.Blob("application/octet-stream", data).Digest)
	}
	b.Root("docker.io/charts/app:1.2.3", d)
	b.Contents.Roots[3].Kind = archive.RootChart
	return b
}

func TestMakeGivesTheSameBytesAgain(t *testing.T) {
	path := full(t).Write()
	first, err := Make(t.Context(), archivetest.Open(t, path), Options{})
	require.NoError(t, err)
	second, err := Make(t.Context(), archivetest.Open(t, path), Options{TempDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Contains(t, string(first.SPDX), `"created": "1970-01-01T00:00:00Z"`)
	later, err := Make(t.Context(), archivetest.Open(t, path), Options{Created: time.Unix(1700000000, 0)})
	require.NoError(t, err)
	require.Contains(t, string(later.SPDX), `"created": "2023-11-14T22:13:20Z"`)
	require.Contains(t, string(later.CycloneDX), `"timestamp": "2023-11-14T22:13:20Z"`)
}

func TestDocumentsFollowTheirSchemas(t *testing.T) {
	r := makeOf(t, full(t))
	cyclone := filepath.Join(module(t, "github.com/CycloneDX/cyclonedx-go"), "schema")
	validate(t, r.CycloneDX, filepath.Join(cyclone, "bom-1.6.schema.json"), map[string]string{
		"http://cyclonedx.org/schema/spdx.schema.json":     filepath.Join(cyclone, "spdx.schema.json"),
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": filepath.Join(cyclone, "jsf-0.82.schemax.json")})
	validate(t, r.SPDX, filepath.Join(module(t, "github.com/anchore/syft"), "schema", "spdx-json", "spdx-schema-2.3.json"), map[string]string{})
}

func validate(t *testing.T, doc []byte, path string, others map[string]string) {
	t.Helper()
	decode := func(data []byte) any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		require.NoError(t, err)
		return v
	}
	c := jsonschema.NewCompiler()
	others["file:///schema.json"] = path
	for url, path := range others {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, c.AddResource(url, decode(data)))
	}
	schema, err := c.Compile("file:///schema.json")
	require.NoError(t, err, path)
	require.NoError(t, schema.Validate(decode(doc)))
}

func TestDocumentsHoldTogether(t *testing.T) {
	r := makeOf(t, full(t))
	var doc spdx.Document
	require.NoError(t, json.Unmarshal(r.SPDX, &doc))
	ids := map[string]bool{"DOCUMENT": true}
	for _, p := range doc.Packages {
		require.False(t, ids[string(p.PackageSPDXIdentifier)], "%s stands twice", p.PackageSPDXIdentifier)
		ids[string(p.PackageSPDXIdentifier)] = true
	}
	for _, rel := range doc.Relationships {
		require.True(t, ids[string(rel.RefA.ElementRefID)] && ids[string(rel.RefB.ElementRefID)], "%v", rel)
	}
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(r.CycloneDX), cdx.BOMFileFormatJSON).Decode(&bom))
	refs := map[string]bool{bundleID: true}
	for _, c := range *bom.Components {
		require.False(t, refs[c.BOMRef], "%s stands twice", c.BOMRef)
		refs[c.BOMRef] = true
	}
	for _, d := range *bom.Dependencies {
		if d.Dependencies == nil {
			continue
		}
		for _, below := range *d.Dependencies {
			require.True(t, refs[below], "%s", below)
		}
	}
	require.Len(t, *bom.Components, len(doc.Packages)-1, "both hold the same, and SPDX the bundle besides")
	require.Len(t, refs, 1+6+5+1, "the bundle, six components, five packages of Debian, one declared")
}

func TestMakePrefersWhatIsDeclared(t *testing.T) {
	for name, add := range map[string]func(*archivetest.Builder, content.Descriptor){
		"attestation of BuildKit": func(b *archivetest.Builder, image content.Descriptor) {
			att := attach(b, nil, mediaTypeInToto, predicateSPDX, inToto(t, predicateSPDX, someSPDX, image))
			b.Root("docker.io/team/app:1", b.Index(image, attestation(att, image)))
		},
		"referrer with an SBOM": func(b *archivetest.Builder, image content.Descriptor) {
			b.Root("docker.io/team/app:1", image)
			b.Root("docker.io/team/app:sbom", attach(b, &image, "application/spdx+json", "", someSPDX))
		},
		"referrer that the statement names": func(b *archivetest.Builder, image content.Descriptor) {
			b.Root("docker.io/team/app:1", image)
			b.Referrer("docker.io/team/app:any", attach(b, nil, "application/spdx+json", "", someSPDX), image)
		},
		"attestation of cosign": func(b *archivetest.Builder, image content.Descriptor) {
			b.Root("docker.io/team/app:1", image)
			b.Root("docker.io/team/app:sha256-"+image.Digest.Encoded()+".att",
				attach(b, nil, mediaTypeDSSE, "", dsse(t, inToto(t, predicateSPDX, someSPDX, image))))
		},
		"attached by cosign": func(b *archivetest.Builder, image content.Descriptor) {
			b.Root("docker.io/team/app:1", image)
			b.Root("docker.io/team/app:sha256-"+image.Digest.Encoded()+".sbom", attach(b, nil, "text/spdx+json", "", someSPDX))
		},
		"bundle of sigstore": func(b *archivetest.Builder, image content.Descriptor) {
			b.Root("docker.io/team/app:1", image)
			b.Root("docker.io/team/app:att", attach(b, &image, mediaTypeSigstoreBundle+".v0.3+json", "",
				`{"dsseEnvelope":`+dsse(t, inToto(t, predicateSPDX, someSPDX, image))+`}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := archivetest.New(t)
			add(b, b.Image("amd64", debian(t)))
			r := makeOf(t, b)
			require.Empty(t, r.Warnings)
			require.Equal(t, []string{"musl 1.2.5: MIT AND Our own license"}, lines(r))
			require.Contains(t, string(r.SPDX), "declared by the SBOM that the image carries: sha256:")
			require.Contains(t, string(r.SPDX), "Do as you like.")
			require.NotContains(t, string(r.SPDX), "team/app:sha256-", "what speaks of an image is no software")
		})
	}
}

func TestMakeReadsCycloneDX(t *testing.T) {
	b := archivetest.New(t)
	image := b.Image("amd64", debian(t))
	att := attach(b, nil, mediaTypeInToto, predicateCycloneDX, inToto(t, predicateCycloneDX, someCycloneDX, image))
	b.Root("docker.io/team/app:1", b.Index(image, attestation(att, image)))
	require.Equal(t, []string{"@types/node 20.1.0: MIT", "inner 1: Odd license"}, lines(makeOf(t, b)))
}

func TestMakeLeavesAsideWhatItCannotBelieve(t *testing.T) {
	for name, c := range map[string]struct{ mediaType, data, warning string }{
		"another image":   {mediaTypeInToto, inToto(t, predicateSPDX, someSPDX, content.Descriptor{Digest: "sha256:00"}), "speaks of another image"},
		"no JSON":         {"application/spdx+json", "SPDXVersion: SPDX-2.3", "not an SBOM"},
		"SPDX 3":          {"application/spdx+json", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`, "neither SPDX 2 nor CycloneDX"},
		"broken SPDX":     {"application/spdx+json", `{"spdxVersion":"SPDX-2.3","packages":{}}`, "not an SBOM"},
		"broken envelope": {mediaTypeDSSE, `{"payload":"no base64!"}`, "not an SBOM"},
	} {
		t.Run(name, func(t *testing.T) {
			b := archivetest.New(t)
			image := b.Image("amd64", debian(t))
			b.Root("docker.io/team/app:1", image)
			b.Root("docker.io/team/app:sbom", attach(b, &image, c.mediaType, "", c.data))
			r := makeOf(t, b)
			require.Len(t, r.Warnings, 1)
			require.Contains(t, r.Warnings[0], c.warning)
			require.Contains(t, strings.Join(lines(r), "\n"), "bash 5.2.15-2+b8", "it is scanned instead")
		})
	}
}

func TestMakeRefusesBadLayers(t *testing.T) {
	for name, c := range map[string]struct {
		layer string
		want  error
	}{
		"no tar":           {"this is no tar file, however long it may be", ErrLayer},
		"no tar in gzip":   {gzipped(t, strings.Repeat("no tar\n", 200)), ErrLayer},
		"broken gzip":      {"\x1f\x8b\x08\x00broken", ErrLayer},
		"broken zstd":      {"\x28\xb5\x2f\xfdbroken", ErrLayer},
		"truncated":        {files(t, map[string]string{"a": strings.Repeat("a", 5000)})[:2000], ErrLayer},
		"truncated gzip":   {debian(t)[:2000], ErrLayer},
		"name beyond PATH": {files(t, map[string]string{strings.Repeat("long/", 1000): ""}), ErrLayer},
		"bomb":             {gzipped(t, strings.Repeat("\x00", 1<<20)), nil}, // an empty layer, in spite of its size
	} {
		t.Run(name, func(t *testing.T) {
			b := archivetest.New(t)
			b.Root("docker.io/team/app:1", b.Image("amd64", c.layer))
			temp := t.TempDir()
			_, err := Make(t.Context(), reader(t, b), Options{TempDir: temp})
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.Equal(t, problem.Verification, problem.KindOf(err))
				require.ErrorContains(t, err, "docker.io/team/app:1: layer sha256:")
			}
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestMakeFindsDamage(t *testing.T) {
	b := archivetest.New(t)
	layer := debian(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", layer))
	path := b.Write()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(data, []byte(layer))
	require.Positive(t, at)
	for _, offset := range []int{0, len(layer) / 2, len(layer) - 1} {
		bad := bytes.Clone(data)
		bad[at+offset] ^= 1
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		_, err = Make(t.Context(), archivetest.Open(t, path), Options{})
		require.ErrorIs(t, err, content.ErrMismatch)
		require.Equal(t, problem.Verification, problem.KindOf(err))
	}
}

func TestMakeFindsADamagedConfiguration(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", debian(t)))
	path := b.Write()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	bad := bytes.Replace(data, []byte(`"architecture":"amd64"`), []byte(`"architecture":"arm64"`), 1)
	require.NotEqual(t, data, bad)
	require.NoError(t, os.WriteFile(path, bad, 0o600))
	_, err = Make(t.Context(), archivetest.Open(t, path), Options{})
	require.ErrorIs(t, err, content.ErrMismatch)
	require.Equal(t, problem.Verification, problem.KindOf(err))
}

func TestMakeStopsWhenCanceled(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", debian(t)))
	r := reader(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Make(ctx, r, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestMakeStopsInTheMiddleOfALayer(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", files(t, map[string]string{"data": strings.Repeat("data", 1<<20)})))
	ctx, cancel := context.WithCancel(t.Context())
	temp := t.TempDir()
	_, err := Make(ctx, reader(t, b), Options{TempDir: temp, Progress: atFirstByte(cancel)})
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEmbeddedIsWhatWasMade(t *testing.T) {
	b := full(t)
	made := makeOf(t, b)
	a, err := Artifact(made)
	require.NoError(t, err)
	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	require.NoError(t, err)
	require.Len(t, m.Layers, 3)
	none, err := Embedded(t.Context(), reader(t, b))
	require.NoError(t, err)
	require.Nil(t, none)

	b.Document(a.Descriptor.MediaType, json.RawMessage(a.Manifest))
	for digest, data := range a.Blobs {
		require.Equal(t, digest, b.Blob("application/octet-stream", data).Digest)
	}
	b.Root("docker.io/sealift/sbom:1", a.Descriptor)
	b.Contents.Roots[len(b.Contents.Roots)-1].Kind = archive.RootSBOM
	with := reader(t, b)
	got, err := Embedded(t.Context(), with)
	require.NoError(t, err)
	require.True(t, got.Embedded)
	got.Embedded = false
	require.Equal(t, made, got)
	again, err := Make(t.Context(), with, Options{})
	require.NoError(t, err)
	require.Equal(t, made, again, "an SBOM within the bundle is no part of what it speaks of")
}

func TestDeltaSaysWhatItLacks(t *testing.T) {
	base, b := archivetest.New(t), archivetest.New(t)
	base.Root("docker.io/library/debian:12", base.Image("amd64", debian(t)))
	b.Root("docker.io/library/debian:12", b.Image("amd64", debian(t)))
	b.Root("docker.io/team/app:1", b.Image("amd64", debian(t), files(t, map[string]string{"p/package.json": `{"name":"new","version":"1"}`})))
	b.Over(reader(t, base))
	r := makeOf(t, b)
	require.Equal(t, []string{"docker.io/library/debian:12: " + inBase, "docker.io/team/app:1: " + inBase}, r.Warnings)
	require.Contains(t, string(r.SPDX), sourceBase)
	require.Empty(t, r.Licenses)
}
