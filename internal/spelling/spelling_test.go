package spelling_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"cluster-a", "cluster-b", 1}, {"datastor", "datastore", 1}, {"kitten", "sitting", 3},
	} {
		require.Equal(t, c.want, spelling.Distance(c.a, c.b), "%s %s", c.a, c.b)
	}
}
