package preflight_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
)

func TestGoodSite(t *testing.T) {
	l := newLab(t)
	began := time.Now()
	all := l.run()
	require.Less(t, time.Since(began), 10*time.Second)
	for name, r := range all {
		if name == "host-disk" || name == "host-memory" {
			continue // what this machine has free is another matter
		}
		require.NotEqual(t, preflight.Failed, r.State, "%s: %s", name, r.Evidence)
	}
}
