package systemconsole_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// After a rotation the new key alone opens everything, and the one before
// nothing.
func TestRotationOfTheMasterKey(t *testing.T) {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	path := filepath.Join(t.TempDir(), "master.key")
	keeper, err := seal.File(path)
	require.NoError(t, err)
	c := open(t, systemconsole.Options{Store: s, Keeper: keeper, FailureTime: time.Millisecond})
	p := c.program(t)
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	ada := c.tenantOf(t, b, "acme")
	b.get("/new-registry").send("/new-registry", "name", "site", "type", "oci", "endpoint", "127.0.0.1:1", "username", "u", "password", "secret")
	b.get("/me").send("/me/second-factor")
	require.Equal(t, http.StatusOK, b.status, b.page)

	b.get("/administration/master-key").send("/administration/master-key")
	require.Contains(t, b.page, "The master key was rotated.")
	var done systemconsole.Rotation
	p.ok("POST", "/api/v1/master-key/rotate", nil, &done)
	require.Equal(t, 3, done.Rewrapped, "a tenant, a registry, a second factor")
	ada.get("/t/acme/users")
	require.Contains(t, ada.page, "of acme")

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	keys, err := seal.Decode(string(text))
	require.NoError(t, err)
	require.Len(t, keys, 3)
	wrapped := wrappedBy(t, s)
	require.Len(t, wrapped, 3)
	for i, key := range keys {
		alone, err := seal.Local(key)
		require.NoError(t, err)
		for owner, text := range wrapped {
			_, err := alone.Unwrap(t.Context(), text, owner)
			require.Equal(t, i == 0, err == nil, "key %d and %s", i, owner)
		}
	}
	b.get("/audit")
	require.Equal(t, 2, strings.Count(b.page, "masterkey.rotate"))
}

// wrappedBy returns what the master key wraps, by owner.
func wrappedBy(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for item, err := range (store.Collection[tenant.Tenant]{Store: s, Kind: tenant.Kind}).All(t.Context(), "") {
		require.NoError(t, err)
		out[item.Name] = item.Value.Key
	}
	for item, err := range (store.Collection[registries.Registry]{Store: s, Kind: registries.Kind}).All(t.Context(), "") {
		require.NoError(t, err)
		out["registry."+item.Name] = item.Value.Password
	}
	for item, err := range (store.Collection[auth.Account]{Store: s, Kind: auth.AccountKind}).All(t.Context(), "") {
		require.NoError(t, err)
		out[auth.AccountOwner(item.Name)] = item.Value.Factor.Pending
	}
	return out
}
