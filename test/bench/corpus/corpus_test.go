package corpus_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/bench/corpus"
)

func TestList(t *testing.T) {
	images := corpus.List()
	require.Len(t, images, 15)
	require.Equal(t, "library/nginx:1.22", images[1].Name)
	require.Equal(t, []string{"amd64", "arm64"}, images[1].Architectures)
	require.Equal(t, []string{"nginx", "nginx-common"}, images[1].Packages)
}
