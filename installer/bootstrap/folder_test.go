package bootstrap_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/bootstrap"
)

// What a process that was killed in the middle of a write leaves is taken away
// with the rest, and what is somebody else's holds up nothing.
func TestLeftovers(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  []string
		exists bool
		stay   []string
	}{
		{"a folder that was only made", nil, true, nil},
		{"writes that were cut off", []string{".ports.json.123456", ".kubeconfig.7"}, true, nil},
		{"the end of a removal that was cut off", []string{"lock"}, true, nil},
		{"what is somebody else's", []string{"notes.txt"}, false, []string{"notes.txt"}},
		{"both", []string{"ports.json", ".ports.json.1", "notes.txt"}, true, []string{"notes.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bootstrap")
			require.NoError(t, os.Mkdir(dir, 0o700))
			for _, name := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600))
			}
			l := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir})
			there, err := l.Exists(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.exists, there)
			there, err = bootstrap.Left(dir)
			require.NoError(t, err)
			require.Equal(t, c.exists, there)
			require.NoError(t, l.Remove(t.Context()))
			there, err = l.Exists(t.Context())
			require.NoError(t, err)
			require.False(t, there)
			entries, _ := os.ReadDir(dir)
			var stay []string
			for _, e := range entries {
				stay = append(stay, e.Name())
			}
			require.Equal(t, c.stay, stay)
			require.Equal(t, c.stay == nil, notThere(dir))
		})
	}
}

func notThere(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}
