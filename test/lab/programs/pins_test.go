package programs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/sealift/sealift/test/lab/programs"
)

// Kubernetes' modules are released together: v1.34.4 belongs to v0.34.4.
func TestStagingModulesBelongToKubernetes(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("kubernetes", "go.mod"))
	require.NoError(t, err)
	mod, err := modfile.Parse("go.mod", data, nil)
	require.NoError(t, err)
	kubernetes, err := programs.Version(".", "kubernetes", "k8s.io/kubernetes")
	require.NoError(t, err)
	require.Len(t, mod.Replace, 31, "one for each staging module")
	for _, r := range mod.Replace {
		require.Equal(t, "v0"+kubernetes[len("v1"):], r.New.Version, r.Old.Path)
	}
}

func TestEveryFolderIsAModule(t *testing.T) {
	folders, err := filepath.Glob("*/go.mod")
	require.NoError(t, err)
	var named []string
	for _, m := range programs.Modules() {
		named = append(named, filepath.Join(m.Name, "go.mod"))
	}
	require.ElementsMatch(t, named, folders)
}

func TestMissingDependencyIsNamed(t *testing.T) {
	_, err := programs.Version(".", "kubernetes", "example.org/absent")
	require.ErrorContains(t, err, "go.mod does not require example.org/absent")
}
