package systemconsole_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

// endless is an upgrade that goes on until a test ends it.
type endless struct {
	enterprise.Upgrader
	runs atomic.Int32
	ends chan struct{}
}

func (u *endless) Run(ctx context.Context, _ string, _ upgrade.Choices, _ upgrade.Observer) error {
	u.runs.Add(1)
	select {
	case <-u.ends:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A backup that was written during an upgrade brings no upgrade back, and none
// is restored while one is under way.
func TestARestoreBeginsNoUpgrade(t *testing.T) {
	u := &endless{ends: make(chan struct{})}
	c := startWith(t, systemconsole.Options{Upgrader: u})
	p := c.program(t)
	all := store.Collection[upgrades.Upgrade]{Store: c.store, Kind: upgrades.Kind}
	running := upgrades.Upgrade{Bundle: upgrade.Bundle{ID: "b", Name: "enterprise", Version: "1.1.0"}, By: "admin", State: enterprise.Running, Began: time.Now()}
	_, err := all.Create(t.Context(), store.Item[upgrades.Upgrade]{Name: upgrades.Name, Value: running})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return u.runs.Load() == 1 }, 20*time.Second, 50*time.Millisecond)
	dir := t.TempDir()
	p.ok("PUT", "/api/v1/settings/backup", map[string]any{"folder": dir, "hours": 0, "keep": 14}, nil)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	written, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	require.NoError(t, err)
	empty, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	defer empty.Close()
	_, err = backup.Restore(t.Context(), bytes.NewReader(written), c.keeper, empty)
	require.NoError(t, err)
	_, err = empty.Get(t.Context(), upgrades.Kind, upgrades.Name)
	require.ErrorIs(t, err, store.ErrNotFound, "a console that was gone begins none")

	const name = "console-20260102T030405.000Z.backup" // of an older console, which had it in its backups
	var older bytes.Buffer
	_, err = backup.Write(t.Context(), c.store, systemconsole.Kinds(), c.keeper, &older)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), older.Bytes(), 0o600))
	const path = "/api/v1/backups/folder/" + name + "/restore"
	var f systemconsole.Failure
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", path, systemconsole.Restore{Confirm: name}, &f))
	require.Contains(t, f.Message, "an upgrade to enterprise 1.1.0")
	require.Contains(t, f.Message, "wait until it has ended")

	u.ends <- struct{}{}
	state := func() enterprise.State {
		item, err := all.Get(t.Context(), upgrades.Name)
		require.NoError(t, err)
		return item.Value.State
	}
	require.Eventually(t, func() bool { return state() == enterprise.Done }, 20*time.Second, 50*time.Millisecond)
	p.ok("POST", path, systemconsole.Restore{Confirm: name}, nil)
	require.Equal(t, enterprise.Done, state())
}
