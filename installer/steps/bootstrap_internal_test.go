package steps

import (
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
)

// A kind node has no credentials of its own: without the login its containerd
// would pull the managers anonymously, and most registries refuse that.
func TestAKindNodeLogsInToTheRegistry(t *testing.T) {
	in := &Installation{Options: Options{Site: &site.Site{}}}
	in.Site.Spec.Registry.Endpoint = "registry.north.example:5000"
	patches, err := in.loginPatches()
	require.NoError(t, err)
	require.Empty(t, patches, "a registry that lets everybody pull needs none")

	in.RegistryLogin = site.Login{Username: "robot", Password: site.NewSecret(`a"b\{{c}}`)}
	patches, err = in.loginPatches()
	require.NoError(t, err)
	plugins := map[int64]string{}
	for _, text := range patches {
		var patch struct {
			Version int64
			Plugins map[string]struct {
				Registry struct {
					Configs map[string]struct {
						Auth struct{ Username, Password string }
					}
				}
			}
		}
		require.NoError(t, toml.Unmarshal([]byte(text), &patch))
		for name, plugin := range patch.Plugins {
			plugins[patch.Version] = name
			auth := plugin.Registry.Configs["registry.north.example:5000"].Auth
			require.Equal(t, "robot", auth.Username)
			require.Equal(t, `a"b\{{c}}`, auth.Password)
		}
	}
	require.Equal(t, map[int64]string{2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}, plugins)
}
