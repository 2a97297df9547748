package console

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// records is how long the audit record is.
const records = 1000

// visitor is one session.
type visitor struct{ secret string }

// visitors are those who come: everybody with an account of their own, or all
// with the same.
type visitors struct{ many, one []visitor }

// fill writes what the console has after years; workers do it at once.
func fill(t *testing.T, s store.Store, keeper seal.Keeper, workers int) visitors {
	begin := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		// Each has an audit record of its own elsewhere: there they would wait for each other.
		aside, err := bolt.Open(filepath.Join(t.TempDir(), "aside.db"))
		require.NoError(t, err)
		defer aside.Close()
		log := audit.New(aside, audit.Options{})
		tenants := tenant.New(s, log, auth.New(s, log, auth.Options{Keeper: keeper}), tenant.Options{Keeper: keeper})
		group.Go(func() error {
			for i := w; i < *flags.tenants; i += workers {
				d := tenant.Draft{Organization: fmt.Sprintf("Organization %05d", i), FirstName: "Ada", LastName: "Byron", Email: fmt.Sprintf("ada%d@example.com", i)}
				if _, err := tenants.Create(ctx, d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	log := audit.New(s, audit.Options{})
	for i := range records {
		_, err := log.Append(t.Context(), audit.Event{Action: "tenant.limits", Object: fmt.Sprintf("Tenant/organization-%05d", i), Before: tenant.Limits{}, After: tenant.Limits{CPU: i}})
		require.NoError(t, err)
	}
	visitors := fillAccounts(t, s, auth.New(s, log, auth.Options{Keeper: keeper}))
	t.Logf("filled in %s", time.Since(begin).Round(time.Second))
	return visitors
}

func fillAccounts(t *testing.T, s store.Store, service *auth.Service) visitors {
	all := store.Collection[auth.Account]{Store: s, Kind: auth.AccountKind}
	for i := range *flags.sessions + 1 {
		_, err := all.Create(t.Context(), store.Item[auth.Account]{Name: account(i), Value: auth.Account{Role: auth.Root, Created: time.Now()}})
		require.NoError(t, err)
	}
	open := func(i int) visitor {
		name := account(i)
		secret, _, err := service.OpenSession(t.Context(), auth.AccountOwner(name), auth.Session{Account: name, Purpose: auth.Full}, auth.Client{Source: "127.0.0.1", Agent: "bench"})
		require.NoError(t, err)
		return visitor{secret}
	}
	var out visitors
	for i := range *flags.sessions {
		out.many, out.one = append(out.many, open(1+i)), append(out.one, open(0))
	}
	return out
}

func account(i int) string { return fmt.Sprintf("administrator-%02d", i) }

func setWorkers(ctx context.Context, c *controlplane.Cluster, machines int) error {
	var list clusterv1.MachineDeploymentList
	if err := c.List(ctx, &list, client.InNamespace(controlplane.Namespace)); err != nil {
		return err
	}
	d := &list.Items[0]
	d.Spec.Replicas = new(int32(machines)) //nolint:gosec // a thousand
	return c.Update(ctx, d)
}

func keepAlive(ctx context.Context, c *controlplane.Cluster) error {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, n := range nodes.Items {
		group.Go(func() error { return c.Heartbeat(ctx, n.Name, time.Now().Add(24*time.Hour)) })
	}
	return group.Wait()
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
