package backup_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

func open(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

var kinds = []store.Kind{{Name: "Fish"}, {Name: "Boat"}}

func filled(t *testing.T) (*bolt.Store, []byte) {
	t.Helper()
	s := open(t)
	for i := range 1200 {
		_, err := s.Create(t.Context(), store.Object{Kind: "Fish", Name: fmt.Sprintf("fish-%d", i), Owner: "sea", Data: json.RawMessage(`{"n":1}`)})
		require.NoError(t, err)
	}
	_, err := s.Create(t.Context(), store.Object{Kind: "Boat", Name: "one", Data: json.RawMessage(`{"name":"Anna"}`)})
	require.NoError(t, err)
	var b bytes.Buffer
	n, err := backup.Write(t.Context(), s, kinds, &b)
	require.NoError(t, err)
	require.Equal(t, 1201, n)
	return s, b.Bytes()
}

func TestRestoreBringsEverythingBack(t *testing.T) {
	before, data := filled(t)
	after := open(t)
	n, err := backup.Restore(t.Context(), bytes.NewReader(data), after)
	require.NoError(t, err)
	require.Equal(t, 1201, n)
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
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), after)
	require.ErrorIs(t, err, store.ErrExists)
}

func TestDamagedBackupRestoresNothing(t *testing.T) {
	_, data := filled(t)
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"nothing": nil, "cut": data[:len(data)/2], "flipped": flipped, "other": []byte("hello")} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			_, err := backup.Restore(t.Context(), bytes.NewReader(bad), s)
			require.ErrorIs(t, err, backup.ErrDamaged)
			page, err := s.List(t.Context(), "Fish", store.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, page.Objects)
		})
	}
}

func TestFolderKeepsTheNewest(t *testing.T) {
	s, _ := filled(t)
	dir := t.TempDir()
	for range 4 {
		_, err := backup.ToFolder(t.Context(), s, kinds, dir, 2)
		require.NoError(t, err)
	}
	files, err := backup.Files(dir)
	require.NoError(t, err)
	require.Len(t, files, 2)
	require.True(t, files[0].Name > files[1].Name)
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := backup.Check(bytes.NewReader(data))
		if err != nil {
			require.ErrorIs(t, err, backup.ErrDamaged)
		}
	})
}
