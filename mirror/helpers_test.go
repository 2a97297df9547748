package mirror_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// flipIn changes one bit of the first place in a file that holds text.
func flipIn(t *testing.T, path, text string) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	i := bytes.Index(data, []byte(text))
	require.Positive(t, i)
	data[i] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
