package systemconsole_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

// stuckStore is a store that never comes to the end of listing the record of changes.
type stuckStore struct {
	store.Store
	begun chan struct{}
}

func (s *stuckStore) List(ctx context.Context, kind string, o store.ListOptions) (store.Page, error) {
	if kind == audit.Kind {
		close(s.begun)
		<-ctx.Done()
		return store.Page{}, ctx.Err()
	}
	return s.Store.List(ctx, kind, o)
}

// scheduled keeps settings by which backups go into a folder every hour.
func scheduled(t *testing.T, s store.Store) {
	t.Helper()
	all := store.Collection[settings.Settings]{Store: s, Kind: settings.Kind}
	_, err := all.Create(t.Context(), store.Item[settings.Settings]{Name: settings.Name, Value: settings.Settings{Backup: settings.Backup{Folder: t.TempDir(), Hours: 1}}})
	require.NoError(t, err)
}

// A console that ends while it writes a backup waits until that is noted: the
// next one tries again a quarter of an hour later.
func TestABackupIsCutShortByTheEnd(t *testing.T) {
	kept, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	defer kept.Close()
	scheduled(t, kept)
	synctest.Test(t, func(t *testing.T) {
		s := &stuckStore{kept, make(chan struct{})}
		keeper, err := seal.Local(seal.NewSecret())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		console, err := systemconsole.New(ctx, systemconsole.Options{Store: s, Keeper: keeper})
		require.NoError(t, err)
		<-s.begun
		began := time.Now()
		cancel()
		console.Ended()
		last, err := backup.NewRuns(s).Last(context.WithoutCancel(ctx), time.Now())
		require.NoError(t, err)
		require.Contains(t, last.Failure, "was cut short")
		require.False(t, systemconsole.BackupDue(last, 24, began.Add(14*time.Minute)))
		require.True(t, systemconsole.BackupDue(last, 24, began.Add(15*time.Minute)))
	})
}

// pausedStore is a store that lists the record of changes when it may, for
// whoever waits.
type pausedStore struct {
	store.Store
	asked, may chan struct{}
}

func (s *pausedStore) List(ctx context.Context, kind string, o store.ListOptions) (store.Page, error) {
	if kind != audit.Kind {
		return s.Store.List(ctx, kind, o)
	}
	s.asked <- struct{}{}
	select {
	case <-s.may:
		return s.Store.List(ctx, kind, o)
	case <-ctx.Done():
		return store.Page{}, ctx.Err()
	}
}

// A backup that somebody asked for and did not wait for is whole, and no failure.
func TestABackupOutlivesItsRequest(t *testing.T) {
	c := start(t)
	dir := t.TempDir()
	p := c.program(t)
	p.ok("PUT", "/api/v1/settings/backup", map[string]any{"folder": dir, "hours": 0, "keep": 14}, nil)
	paused := &pausedStore{c.store, make(chan struct{}, 8), make(chan struct{})}
	other := open(t, systemconsole.Options{Store: paused, Keeper: c.keeper, FailureTime: time.Millisecond})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var asked sync.WaitGroup
	asked.Go(func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, other.URL+"/api/v1/backups", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+p.token)
		if resp, err := other.Client().Do(req); err == nil {
			_ = resp.Body.Close()
			t.Error("it was answered: ", resp.Status)
		}
	})
	<-paused.asked
	leave()
	asked.Wait()
	time.Sleep(50 * time.Millisecond) // until the server has seen it
	close(paused.may)
	require.Eventually(t, func() bool {
		last, err := backup.NewRuns(c.store).Last(t.Context(), time.Now())
		require.NoError(t, err)
		require.Empty(t, last.Failure)
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		return !last.Finished.IsZero() && len(files) == 2
	}, 20*time.Second, 20*time.Millisecond)
}

// A backup whose console was killed is told of on every page.
func TestABackupThatWasKilledIsToldOf(t *testing.T) {
	c := start(t)
	scheduled(t, c.store)
	b := c.admin(t)
	all := store.Collection[backup.Run]{Store: c.store, Kind: backup.RunKind}
	ago := time.Now().Add(-4 * time.Minute)
	_, err := all.Create(t.Context(), store.Item[backup.Run]{Name: backup.RunName, Value: backup.Run{Started: ago, Alive: ago, Good: ago.Add(-time.Hour)}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		b.get("/administration/backup")
		return b.holds("The last backup failed.") && b.holds("was cut short")
	}, 20*time.Second, 200*time.Millisecond)
}

// holds tells whether the page has a text.
func (b *browser) holds(text string) bool { return strings.Contains(b.page, text) }
