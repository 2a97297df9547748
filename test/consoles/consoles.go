// Package consoles readies the system console for tests: its first account has
// a password and tokens, and a cluster has what the console needs there.
package consoles

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/kube"
	"github.com/sealift/sealift/test/chromium"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// Password is what First sets.
const Password = "Correct-Horse-7-Battery"

// First changes the password that the first account comes with to Password, and
// returns the account with every permission.
func First(ctx context.Context, accounts *auth.Service) (auth.Identity, error) {
	id := auth.Identity{Account: auth.FirstAccount, Permissions: auth.Permissions()}
	_, err := accounts.ChangePassword(ctx, id, auth.FirstAccount, Password, auth.Client{})
	return id, err
}

// SignIn is the first login in a browser, which makes a change of the password.
func SignIn(b *chromium.Browser, password string) {
	b.Visit("/")
	b.Fill("name", auth.FirstAccount, "password", auth.FirstAccount)
	b.Press("main button", "#current")
	b.Fill("current", auth.FirstAccount, "password", password, "again", password)
	b.Press("main form .first", "nav.side")
}

// Token returns a token of the first account with every permission.
func Token(t *testing.T, accounts *auth.Service) string {
	t.Helper()
	id, err := First(t.Context(), accounts)
	require.NoError(t, err)
	text, _, err := accounts.CreateToken(t.Context(), id, auth.NewToken{Label: "test", Scopes: id.Permissions, Days: 1})
	require.NoError(t, err)
	return text
}

// InCluster makes a cluster ready for the console, and returns what the console
// keeps its objects in there, and what it seals them with.
func InCluster(t *testing.T, config *rest.Config) (store.Store, seal.Keeper) {
	t.Helper()
	for _, k := range systemconsole.Kinds() {
		d, err := kube.Definition(k)
		require.NoError(t, err)
		require.NoError(t, kube.Install(t.Context(), config, d))
	}
	s, err := kube.Open(config, controlplane.Namespace)
	require.NoError(t, err)
	keeper, err := kube.MasterKey(t.Context(), config, controlplane.Namespace, "console-master-key")
	require.NoError(t, err)
	return s, keeper
}
