package archive_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
)

// A statement that nobody has signed takes no more memory than its bytes are
// worth: what it lists says something.
func TestHollowStatements(t *testing.T) {
	head := `{"apiVersion":"` + archive.APIVersion + `","kind":"` + archive.Kind + `",`
	for name, text := range map[string]string{
		"roots":   head + `"roots":[` + strings.Repeat("{},", 1<<18) + `{}]}`,
		"blobs":   head + `"blobs":[` + strings.Repeat(`{ },`, 1<<18) + `{}]}`,
		"strings": head + `"roots":[{"platforms":[` + strings.Repeat(`"",`, 1<<18) + `""]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := archive.DecodeStatement([]byte(text))
			require.ErrorIs(t, err, archive.ErrFormat)
			require.ErrorContains(t, err, "made of things that say nothing")
		})
	}
	data, err := archivetest.Sample(t).Layout().Statement.Encode()
	require.NoError(t, err)
	_, err = archive.DecodeStatement(data)
	require.NoError(t, err)
}
