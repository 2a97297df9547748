package artifact

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
)

func TestNewMakesAManifestThatParsesAndRepeats(t *testing.T) {
	sample := func() *Artifact {
		a, err := New(TypeFile, []Layer{Bytes("text/plain", "a.txt", []byte("a")), Bytes("text/plain", "b.txt", nil)},
			Options{Annotations: map[string]string{"z": "1", "a": "2"}})
		require.NoError(t, err)
		return a
	}
	a := sample()
	require.Equal(t, a.Manifest, sample().Manifest)
	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	require.NoError(t, err)
	require.Equal(t, TypeFile, m.ArtifactType)
	require.False(t, m.IsImage())
	for _, d := range append(m.Children(), a.Descriptor) {
		data, err := content.ReadAll(t.Context(), a, d, 1<<20)
		require.NoError(t, err, d.MediaType)
		require.Len(t, data, int(d.Size))
	}
}

func TestNewRefusesMoreThanRegistriesTake(t *testing.T) {
	layers := make([]Layer, 20_000)
	for i := range layers {
		layers[i] = Bytes("application/vnd.sealift.test", "a name that makes the manifest long, again and again", []byte{byte(i), byte(i >> 8)})
	}
	_, err := New(TypeFile, layers, Options{})
	require.ErrorIs(t, err, content.ErrTooLarge)
}

func TestFetchOfWhatIsElsewhere(t *testing.T) {
	big := Elsewhere("application/octet-stream", "big.iso", "sha256:0000000000000000000000000000000000000000000000000000000000000000", 1<<40)
	a, err := New(TypeFile, []Layer{big}, Options{})
	require.NoError(t, err)
	_, err = a.Fetch(t.Context(), big.Descriptor)
	require.ErrorIs(t, err, content.ErrNotFound)
	_, err = a.FetchRange(t.Context(), a.Descriptor, 1, a.Descriptor.Size)
	require.Error(t, err)
}
