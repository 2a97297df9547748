package backup_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/stores"
)

func open(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// keeper has the master key of these tests.
var keeper = must(seal.Local(seal.NewSecret()))

func must(k seal.Keeper, err error) seal.Keeper {
	if err != nil {
		panic(err)
	}
	return k
}

var kinds = []store.Kind{{Name: "Fish"}, {Name: "Boat"}}

func filled(t *testing.T) (*bolt.Store, []byte) {
	t.Helper()
	s := open(t)
	for i := range 600 {
		_, err := s.Create(t.Context(), store.Object{Kind: "Fish", Name: fmt.Sprintf("fish-%d", i), Owner: "sea", Data: json.RawMessage(`{"n":1}`)})
		require.NoError(t, err)
	}
	_, err := s.Create(t.Context(), store.Object{Kind: "Boat", Name: "one", Data: json.RawMessage(`{"name":"Anna"}`)})
	require.NoError(t, err)
	var b bytes.Buffer
	n, err := backup.Write(t.Context(), s, kinds, keeper, &b)
	require.NoError(t, err)
	require.Equal(t, 601, n)
	return s, b.Bytes()
}

func TestRestoreBringsEverythingBack(t *testing.T) {
	before, data := filled(t)
	after := open(t)
	n, err := backup.Restore(t.Context(), bytes.NewReader(data), keeper, after)
	require.NoError(t, err)
	require.Equal(t, 601, n)
	for _, kind := range kinds {
		want, err := before.List(t.Context(), kind.Name, store.ListOptions{})
		require.NoError(t, err)
		got, err := after.List(t.Context(), kind.Name, store.ListOptions{})
		require.NoError(t, err)
		require.Len(t, got.Objects, len(want.Objects))
		for i := range want.Objects {
			want.Objects[i].Version, got.Objects[i].Version = "", ""
		}
		require.Equal(t, want.Objects, got.Objects)
	}
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), keeper, after)
	require.ErrorIs(t, err, store.ErrExists)
}

func TestDamagedBackupRestoresNothing(t *testing.T) {
	_, data := filled(t)
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"nothing": nil, "cut": data[:len(data)/2], "flipped": flipped, "other": []byte("hello")} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			_, err := backup.Restore(t.Context(), bytes.NewReader(bad), keeper, s)
			require.ErrorIs(t, err, backup.ErrDamaged)
			page, err := s.List(t.Context(), "Fish", store.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, page.Objects)
		})
	}
}

// Another master key opens nothing, and what it made is not restored.
func TestOnlyTheMasterKeyOpens(t *testing.T) {
	_, data := filled(t)
	require.NotContains(t, string(data), "Anna")
	require.False(t, bytes.HasPrefix(data, []byte{0x1f, 0x8b}), "gzip in the clear")
	other, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	s := open(t)
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), other, s)
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.NotEmpty(t, problem.Remedies(err))
	remote := seal.Remote(service{})
	var b bytes.Buffer
	_, err = backup.Write(t.Context(), s, kinds, remote, &b)
	require.NoError(t, err)
	_, err = backup.Check(t.Context(), remote, &b)
	require.NoError(t, err, "a key management service does as well")
}

// service is a key management service that keeps nothing secret.
type service struct{}

func (service) Encrypt(_ context.Context, plain []byte) ([]byte, error) {
	return bytes.Clone(plain), nil
}
func (service) Decrypt(_ context.Context, sealed []byte) ([]byte, error) {
	return bytes.Clone(sealed), nil
}

// bucket is an S3 store with TLS.
func bucket(t *testing.T, wrap ...stores.Wrap) *backup.Bucket {
	t.Helper()
	url, ca := stores.Bucket(t, "backups", wrap...)
	pool, err := authority.Pool(ca)
	require.NoError(t, err)
	b, err := backup.NewBucket(backup.BucketOptions{Endpoint: url, Bucket: "backups", Prefix: "console/", AccessKey: "a-key", SecretKey: "a secret",
		TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	require.NoError(t, err)
	return b
}

// Every place does the same.
func TestPlaces(t *testing.T) {
	s, _ := filled(t)
	from := backup.Source{Store: s, Kinds: kinds, Keeper: keeper}
	for name, place := range map[string]backup.Place{"folder": backup.Folder(filepath.Join(t.TempDir(), "new")), "bucket": bucket(t)} {
		t.Run(name, func(t *testing.T) {
			files, err := place.Files(t.Context())
			require.NoError(t, err)
			require.Empty(t, files)
			var last backup.File
			for range 4 {
				last, err = backup.To(t.Context(), from, []backup.Place{place}, 2)
				require.NoError(t, err)
			}
			files, err = place.Files(t.Context())
			require.NoError(t, err)
			require.Len(t, files, 2)
			require.Equal(t, last.Name, files[0].Name)
			require.Equal(t, last.Size, files[0].Size)
			require.Greater(t, files[0].Name, files[1].Name)
			require.WithinDuration(t, last.When, files[0].When, time.Second)

			f, err := place.Open(t.Context(), last.Name)
			require.NoError(t, err)
			data, err := io.ReadAll(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			n, err := backup.Restore(t.Context(), bytes.NewReader(data), keeper, open(t))
			require.NoError(t, err)
			require.Equal(t, 601, n)

			for _, bad := range []string{"../../etc/passwd", "console-x.backup", "", "console-20260101T000000.000Z.backup/../x"} {
				_, err := place.Open(t.Context(), bad)
				require.ErrorIs(t, err, backup.ErrName, bad)
				require.ErrorIs(t, place.Remove(t.Context(), bad), backup.ErrName, bad)
			}
			_, err = place.Open(t.Context(), "console-20200101T000000.000Z.backup")
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

// A place that fails does not keep the others from theirs, and says what helps.
func TestFailingPlace(t *testing.T) {
	s, _ := filled(t)
	from := backup.Source{Store: s, Kinds: kinds, Keeper: keeper}
	folder := backup.Folder(t.TempDir())
	down := bucket(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	})
	_, err := backup.To(t.Context(), from, []backup.Place{down, folder}, 2)
	require.ErrorContains(t, err, "s3://backups/console/")
	require.NotEmpty(t, problem.Remedies(err))
	files, err := folder.Files(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// What is stored otherwise than it was sent is no backup, and does not stay.
func TestDamagedOnTheWay(t *testing.T) {
	s, _ := filled(t)
	cut := bucket(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				data, _ := io.ReadAll(r.Body) // a body in memory does not fail
				data[len(data)/2] ^= 1
				r.Body = io.NopCloser(bytes.NewReader(data))
				r.Header.Del("Content-Md5")
			}
			h.ServeHTTP(w, r)
		})
	})
	_, err := backup.To(t.Context(), backup.Source{Store: s, Kinds: kinds, Keeper: keeper}, []backup.Place{cut}, 2)
	require.ErrorIs(t, err, backup.ErrDamaged)
	files, err := cut.Files(t.Context())
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestReplace(t *testing.T) {
	s := open(t)
	put := func(kind, name, data string) {
		t.Helper()
		_, err := s.Create(t.Context(), store.Object{Kind: kind, Name: name, Data: json.RawMessage(data)})
		require.NoError(t, err)
	}
	put("Fish", "stays", `{"n":1}`)
	put("Fish", "gone", `{"n":2}`)
	put("Token", "kept", `{}`)
	put("Token", "revoked", `{}`)
	put("Record", "first", `{}`)
	var b bytes.Buffer
	_, err := backup.Write(t.Context(), s, []store.Kind{{Name: "Fish"}, {Name: "Token"}, {Name: "Record"}}, keeper, &b)
	require.NoError(t, err)

	o, err := s.Get(t.Context(), "Fish", "stays")
	require.NoError(t, err)
	o.Data = json.RawMessage(`{"n":9}`)
	_, err = s.Update(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "Fish", "gone", ""))
	require.NoError(t, s.Delete(t.Context(), "Token", "revoked", ""))
	put("Fish", "later", `{}`)
	put("Token", "later", `{}`)
	put("Record", "second", `{}`)
	put("Session", "open", `{}`)

	target := backup.Target{Store: s, Keeper: keeper, Kinds: []string{"Fish"}, Known: []string{"Token"}, Dropped: []string{"Session"}}
	for range 2 { // with the same end
		_, err = backup.Replace(t.Context(), bytes.NewReader(b.Bytes()), target)
		require.NoError(t, err)
		for kind, want := range map[string][]string{"Fish": {"gone", "stays"}, "Token": {"kept"}, "Record": {"first", "second"}, "Session": nil} {
			page, err := s.List(t.Context(), kind, store.ListOptions{})
			require.NoError(t, err)
			var got []string
			for _, o := range page.Objects {
				got = append(got, o.Name)
			}
			require.Equal(t, want, got, kind)
		}
		o, err = s.Get(t.Context(), "Fish", "stays")
		require.NoError(t, err)
		require.JSONEq(t, `{"n":1}`, string(o.Data))
	}
	damaged := bytes.Clone(b.Bytes())
	damaged[len(damaged)-20] ^= 1
	put("Session", "open", `{}`)
	_, err = backup.Replace(t.Context(), bytes.NewReader(damaged), target)
	require.ErrorIs(t, err, backup.ErrDamaged)
	_, err = s.Get(t.Context(), "Session", "open")
	require.NoError(t, err, "nothing was touched")
}

// Of several servers one writes the backup; a failure is kept until one is good.
func TestRuns(t *testing.T) {
	s := open(t)
	runs := backup.NewRuns(s)
	now := time.Now().UTC()
	clock := func() time.Time { return now }
	always := func(backup.Run) bool { return true }
	begun, end := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_, err := runs.Do(t.Context(), clock, always, func() (backup.File, error) {
			close(begun)
			<-end
			return backup.File{Name: "one", Size: 5}, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	_, err := runs.Do(t.Context(), clock, always, func() (backup.File, error) { return backup.File{}, nil })
	require.ErrorIs(t, err, backup.ErrBusy)
	close(end)
	all.Wait()
	last, err := runs.Last(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "one", last.Name)
	require.Equal(t, now, last.Good)

	good := now
	for range 2 {
		now = now.Add(time.Minute)
		_, err = runs.Do(t.Context(), clock, always, func() (backup.File, error) { return backup.File{}, errors.New("no room") })
		require.ErrorContains(t, err, "no room")
	}
	last, err = runs.Last(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "no room", last.Failure)
	require.Equal(t, good, last.Good)
	require.Equal(t, good.Add(time.Minute), last.Since)
	_, err = runs.Do(t.Context(), clock, func(backup.Run) bool { return false }, nil)
	require.ErrorIs(t, err, backup.ErrBusy, "it is no longer due")

	now = now.Add(time.Minute)
	_, err = runs.Try(t.Context(), clock, func() (backup.File, error) { return backup.File{Name: "two", Size: 7}, nil })
	require.NoError(t, err)
	tried, err := runs.Last(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "two", tried.Name)
	require.Empty(t, tried.Failure, "a good one is good, whatever it was for")
	now = now.Add(time.Minute)
	_, err = runs.Try(t.Context(), clock, func() (backup.File, error) { return backup.File{}, errors.New("no such folder") })
	require.ErrorContains(t, err, "no such folder")
	last, err = runs.Last(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, tried, last, "places that are not kept change nothing")
}

// A backup that takes long is waited for as long as its server says that it goes
// on; one whose server was killed has failed a few minutes later, and neither
// holds up the next nor is taken for good.
func TestARunThatIsKilled(t *testing.T) {
	s := open(t)
	synctest.Test(t, func(t *testing.T) {
		runs := backup.NewRuns(s)
		always := func(backup.Run) bool { return true }
		var all sync.WaitGroup
		all.Go(func() {
			_, err := runs.Do(t.Context(), time.Now, always, func() (backup.File, error) {
				time.Sleep(10 * time.Minute)
				return backup.File{Name: "one"}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		time.Sleep(9*time.Minute + time.Second)
		_, err := runs.Do(t.Context(), time.Now, always, nil)
		require.ErrorIs(t, err, backup.ErrBusy)
		all.Wait()

		objects := store.Collection[backup.Run]{Store: s, Kind: backup.RunKind}
		good := time.Now()
		_, err = objects.Modify(t.Context(), backup.RunName, func(r *backup.Run) error { // and then it is killed
			r.Started, r.Alive, r.Finished = good.Add(-time.Minute), good, time.Time{}
			return nil
		})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		last, err := runs.Last(t.Context(), time.Now())
		require.NoError(t, err)
		require.True(t, last.Busy(time.Now()))
		require.Empty(t, last.Failure)
		time.Sleep(time.Minute)
		last, err = runs.Last(t.Context(), time.Now())
		require.NoError(t, err)
		require.False(t, last.Busy(time.Now()))
		require.Contains(t, last.Failure, "was cut short")
		_, err = runs.Do(t.Context(), time.Now, always, func() (backup.File, error) { return backup.File{}, errors.New("no room") })
		require.ErrorContains(t, err, "no room")
		last, err = runs.Last(t.Context(), time.Now())
		require.NoError(t, err)
		require.True(t, last.Since.Equal(good), "it counts as the first failure")
	})
}

// mute is a store that takes nothing while it is cut off.
type mute struct {
	store.Store
	off atomic.Bool
}

func (m *mute) Update(ctx context.Context, o store.Object) (string, error) {
	if m.off.Load() {
		return "", errors.New("the store is away")
	}
	return m.Store.Update(ctx, o)
}

// Who was taken for dead and was not says nothing of the backup after theirs.
func TestARunThatWasTakenForDead(t *testing.T) {
	s := open(t)
	synctest.Test(t, func(t *testing.T) {
		always := func(backup.Run) bool { return true }
		cut := &mute{Store: s}
		var all sync.WaitGroup
		all.Go(func() {
			_, err := backup.NewRuns(cut).Do(t.Context(), time.Now, always, func() (backup.File, error) {
				time.Sleep(10 * time.Minute)
				return backup.File{}, errors.New("the place is away")
			})
			if err == nil {
				t.Error("it failed")
			}
		})
		time.Sleep(time.Second)
		cut.off.Store(true)
		time.Sleep(4 * time.Minute)
		runs := backup.NewRuns(s)
		_, err := runs.Do(t.Context(), time.Now, always, func() (backup.File, error) { return backup.File{Name: "two"}, nil })
		require.NoError(t, err)
		good := time.Now()
		cut.off.Store(false)
		all.Wait()
		last, err := runs.Last(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, "two", last.Name)
		require.Empty(t, last.Failure)
		require.True(t, last.Good.Equal(good))
		require.True(t, last.Alive.Before(good.Add(time.Second)))
	})
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("hello"))
	var b bytes.Buffer
	s, err := bolt.Open(filepath.Join(f.TempDir(), "console.db"))
	require.NoError(f, err)
	_, err = backup.Write(f.Context(), s, kinds, keeper, &b)
	require.NoError(f, errors.Join(err, s.Close()))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := backup.Check(t.Context(), keeper, bytes.NewReader(data)); err != nil {
			require.ErrorIs(t, err, backup.ErrDamaged)
		}
	})
}
