package content_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
)

const (
	ociManifest  = ocispec.MediaTypeImageManifest
	ociIndex     = ocispec.MediaTypeImageIndex
	dockerConfig = "application/vnd.docker.container.image.v1+json"
	dockerLayer  = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

func desc(mediaType, of string) content.Descriptor {
	return content.Descriptor{MediaType: mediaType, Digest: digest.FromString(of), Size: int64(len(of))}
}

// entry returns a descriptor as JSON.
func entry(mediaType, of, more string) string {
	d := desc(mediaType, of)
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, d.MediaType, d.Digest, d.Size, more)
}

func parse(mediaType, data string) (*content.Manifest, error) {
	return content.ParseManifest(desc(mediaType, data), []byte(data))
}

func TestParseManifest(t *testing.T) {
	m, err := parse(ociManifest, `{"schemaVersion":2,"mediaType":"`+ociManifest+`","artifactType":"application/x",
		"config":`+entry(ocispec.MediaTypeImageConfig, "c", "")+`,
		"layers":[`+entry(ocispec.MediaTypeImageLayer, "l", "")+`,`+entry(ocispec.MediaTypeImageLayer, "", "")+`,`+entry(ocispec.MediaTypeImageLayer, "l", "")+`],
		"subject":`+entry(ociManifest, "s", "")+`,"annotations":{"a":"b"}}`)
	require.NoError(t, err)
	config, layer, nothing, subject := desc(ocispec.MediaTypeImageConfig, "c"), desc(ocispec.MediaTypeImageLayer, "l"), desc(ocispec.MediaTypeImageLayer, ""), desc(ociManifest, "s")
	require.Empty(t, cmp.Diff(&content.Manifest{MediaType: ociManifest, Config: &config, Layers: []content.Descriptor{layer, nothing, layer},
		Subject: &subject, ArtifactType: "application/x", Annotations: map[string]string{"a": "b"}}, m))
	require.True(t, m.IsImage())
	require.Empty(t, cmp.Diff([]content.Descriptor{config, layer, nothing}, m.Children()), "each digest once, the subject not")
}

func TestParseManifestDocker(t *testing.T) {
	m, err := parse(content.MediaTypeDockerManifest, `{"schemaVersion":2,"mediaType":"`+content.MediaTypeDockerManifest+`",
		"config":`+entry(dockerConfig, "c", "")+`,"layers":[`+entry(dockerLayer, "l", "")+`]}`)
	require.NoError(t, err)
	require.True(t, m.IsImage())
	require.Len(t, m.Children(), 2)
}

func TestParseIndex(t *testing.T) {
	for _, mediaType := range []string{ociIndex, content.MediaTypeDockerIndex} {
		m, err := parse(mediaType, `{"schemaVersion":2,"manifests":[`+entry(ociManifest, "a", `,"platform":{"os":"linux","architecture":"arm","variant":"v7"}`)+`]}`)
		require.NoError(t, err)
		child := desc(ociManifest, "a")
		child.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
		require.Empty(t, cmp.Diff([]content.Descriptor{child}, m.Children()))
		require.False(t, m.IsImage())
	}
}

func TestParseArtifact(t *testing.T) {
	m, err := parse(ociManifest, `{"schemaVersion":2,"config":`+entry("application/vnd.oci.empty.v1+json", "{}", "")+`,"layers":[]}`)
	require.NoError(t, err)
	require.False(t, m.IsImage())
	m, err = parse(ociIndex, `{"schemaVersion":2,"manifests":[]}`)
	require.NoError(t, err)
	require.Empty(t, m.Children())
}

func TestParseManifestRefuses(t *testing.T) {
	config := entry(ocispec.MediaTypeImageConfig, "c", "")
	for name, c := range map[string]struct{ mediaType, data, fault string }{
		"no JSON":               {ociManifest, `<html>`, "invalid character"},
		"nothing":               {ociManifest, ``, "unexpected end"},
		"more behind it":        {ociManifest, `{"schemaVersion":2,"config":` + config + `}{}`, "after top-level value"},
		"deep":                  {ociManifest, strings.Repeat("[", 20000), "exceeded max depth"},
		"schema 1":              {"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`, "retired Docker schema 1"},
		"schemaVersion 1":       {ociManifest, `{"schemaVersion":1,"config":` + config + `}`, "schemaVersion is 1, not 2"},
		"media type of a layer": {ocispec.MediaTypeImageLayer, `{}`, "has media type"},
		"no media type":         {"", `{}`, `has media type ""`},
		"another media type":    {ociManifest, `{"schemaVersion":2,"mediaType":"` + ociIndex + `","config":` + config + `}`, "calls itself"},
		"no config":             {ociManifest, `{"schemaVersion":2,"layers":[]}`, "config is missing"},
		"image as index":        {ociIndex, `{"schemaVersion":2,"config":` + config + `}`, "must not have config or layers"},
		"index and image":       {ociIndex, `{"schemaVersion":2,"manifests":[],"layers":[]}`, "must not have config or layers"},
		"image and index":       {ociManifest, `{"schemaVersion":2,"manifests":[],"config":` + config + `}`, "must not have manifests"},
		"negative size":         {ociManifest, `{"schemaVersion":2,"config":` + config + `,"layers":[{"digest":"` + digest.FromString("l").String() + `","size":-5}]}`, "has the size -5"},
		"size overflows":        {ociManifest, `{"schemaVersion":2,"config":` + config + `,"layers":[{"size":99999999999999999999}]}`, "cannot unmarshal number"},
		"two sizes of a digest": {ociManifest, `{"schemaVersion":2,"config":` + config + `,"layers":[` + entry("x", "l", "") + `,` + strings.Replace(entry("x", "l", ""), `"size":1`, `"size":2`, 1) + `]}`, "the size 1 and the size 2"},
		"digest is a path":      {ociManifest, `{"schemaVersion":2,"config":{"digest":"sha256:../../../etc","size":1}}`, "invalid checksum digest"},
		"digest is missing":     {ociIndex, `{"schemaVersion":2,"manifests":[{"size":1}]}`, "invalid checksum digest"},
		"sha512":                {ociIndex, `{"schemaVersion":2,"manifests":[{"digest":"` + digest.SHA512.FromString("x").String() + `","size":1}]}`, "only sha256 is carried"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse(c.mediaType, c.data)
			require.Nil(t, m)
			require.ErrorIs(t, err, content.ErrManifest)
			require.ErrorContains(t, err, c.fault)
			require.ErrorContains(t, err, digest.FromString(c.data).String())
		})
	}
}

func TestParseManifestTellsEveryFault(t *testing.T) {
	_, err := parse(ociManifest, `{"schemaVersion":3,"mediaType":"x","manifests":[{"digest":"y","size":-1}]}`)
	require.ErrorIs(t, err, content.ErrManifest)
	for _, fault := range []string{"schemaVersion is 3", `calls itself "x"`, "must not have manifests", `digest "y"`, "has the size -1"} {
		require.ErrorContains(t, err, fault)
	}
}

func TestParseManifestForeignLayer(t *testing.T) {
	for name, layer := range map[string]string{
		"Docker":   entry("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "l", ""),
		"with URL": entry(ocispec.MediaTypeImageLayerGzip, "l", `,"urls":["https://example.com/base.tar.gz"]`),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse(ociManifest, `{"schemaVersion":2,"config":`+entry(ocispec.MediaTypeImageConfig, "c", "")+`,"layers":[`+layer+`]}`)
			require.Nil(t, m)
			require.ErrorIs(t, err, content.ErrForeignLayer)
			require.ErrorContains(t, err, digest.FromString("l").String())
			if name == "with URL" {
				require.ErrorContains(t, err, "https://example.com/base.tar.gz")
			}
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(ociManifest, []byte(`{"schemaVersion":2,"config":`+entry(ocispec.MediaTypeImageConfig, "c", "")+`,"layers":[`+entry("x", "l", "")+`]}`))
	f.Add(ociIndex, []byte(`{"schemaVersion":2,"manifests":[`+entry(ociManifest, "a", "")+`]}`))
	f.Add(content.MediaTypeDockerIndex, []byte(`{"schemaVersion":2,"manifests":null}`))
	f.Add("", []byte(nil))
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		m, err := content.ParseManifest(content.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data)
		if err != nil {
			return
		}
		require.True(t, content.IsManifest(mediaType))
		require.Equal(t, content.IsIndex(mediaType), m.Config == nil)
		seen := map[digest.Digest]bool{}
		for _, d := range m.Children() {
			require.NoError(t, d.Digest.Validate())
			require.GreaterOrEqual(t, d.Size, int64(0))
			require.False(t, seen[d.Digest])
			seen[d.Digest] = true
		}
	})
}
