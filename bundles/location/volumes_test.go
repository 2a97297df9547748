package location_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/stores"
)

// cut writes 100 bytes as volumes of 30 and returns their common name.
func cut(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "b.tar")
	copyTo(t, name, sample(100), location.CreateOptions{VolumeSize: 30})
	names, err := location.Volumes(name)
	require.NoError(t, err)
	require.Equal(t, []string{name + ".001", name + ".002", name + ".003", name + ".004"}, names)
	return name
}

func joined(t *testing.T, name string) []byte {
	names, err := location.Volumes(name)
	require.NoError(t, err)
	var out []byte
	for _, n := range names {
		data, err := os.ReadFile(n)
		require.NoError(t, err)
		out = append(out, data...)
	}
	return out
}

func TestVolumesAreTheFile(t *testing.T) {
	name := cut(t)
	require.Equal(t, sample(100), joined(t, name))
	for _, as := range []string{name, name + ".001", name + ".003"} {
		s, err := location.Open(t.Context(), as, location.Options{})
		require.NoError(t, err, as)
		require.Equal(t, name+".002, bytes 10 to 19", s.Place(40, 10))
		require.Equal(t, name+".001 from byte 20 on, to "+name+".003 byte 4", s.Place(20, 45))
		require.Equal(t, name+".004, bytes 9 to 9", s.Place(99, 1))
		// Cut again, then joined.
		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, location.Copy(t.Context(), s, again, nil, location.CreateOptions{VolumeSize: 7}))
		require.Equal(t, sample(100), joined(t, again))
		one := filepath.Join(t.TempDir(), "one")
		require.NoError(t, location.Copy(t.Context(), s, one, nil, location.CreateOptions{}))
		data, err := os.ReadFile(one)
		require.NoError(t, err)
		require.Equal(t, sample(100), data)
		require.NoError(t, s.Close())
	}
	require.Equal(t, sample(100), joined(t, name), "an input is never changed")
}

// What lies in one volume can be sent from its file; what goes over its end, or
// over that of all, cannot.
func TestFileOfAStretch(t *testing.T) {
	s, err := location.Open(t.Context(), cut(t), location.Options{})
	require.NoError(t, err)
	files := s.(interface {
		File(off, n int64) (*os.File, int64)
	})
	for _, c := range []struct{ off, n, at int64 }{{0, 30, 0}, {31, 29, 1}, {95, 5, 5}} {
		f, at := files.File(c.off, c.n)
		require.NotNil(t, f, "%+v", c)
		require.Equal(t, c.at, at)
		data := make([]byte, c.n)
		_, err := f.ReadAt(data, at)
		require.NoError(t, err)
		require.Equal(t, sample(100)[c.off:][:c.n], data)
	}
	for _, c := range []struct{ off, n int64 }{{29, 2}, {95, 6}, {100, 1}, {1000, 1}} {
		f, _ := files.File(c.off, c.n)
		require.Nil(t, f, "%+v", c)
	}
	require.NoError(t, s.Close())
}

func TestVolumesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		name string
		breakage
		want string
	}{
		{"first missing", remove("001"), "missing: DIR/b.tar.001"},
		{"middle missing", remove("002"), "missing: DIR/b.tar.002"},
		{"two missing", func(t *testing.T, name string) { remove("002")(t, name); remove("003")(t, name) }, "missing: DIR/b.tar.002, DIR/b.tar.003"},
		{"first cut off", truncate("001", 29), "b.tar.001 has 29 bytes, the others have 30"},
		{"middle cut off", truncate("002", 0), "b.tar.002 has 0 bytes, the others have 30"},
		{"middle too long", truncate("003", 31), "b.tar.003 has 31 bytes, the others have 30"},
		{"last empty", truncate("004", 0), "b.tar.004 is empty"},
		{"last too long", truncate("004", 31), "b.tar.004 has 31 bytes, more than the 30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := cut(t)
			c.breakage(t, name)
			_, err := location.Open(t.Context(), name, location.Options{})
			require.ErrorIs(t, err, location.ErrVolumes)
			require.ErrorContains(t, err, filepath.Base(c.want))
			require.Equal(t, problem.Verification, problem.KindOf(err))
			require.NotEmpty(t, problem.Remedies(err))
		})
	}
}

type breakage = func(t *testing.T, name string)

func remove(number string) breakage {
	return func(t *testing.T, name string) { require.NoError(t, os.Remove(name+"."+number)) }
}

func truncate(number string, size int64) breakage {
	return func(t *testing.T, name string) { require.NoError(t, os.Truncate(name+"."+number, size)) }
}

// TestMissingVolumes covers what only the statement's size can tell.
func TestMissingVolumes(t *testing.T) {
	for _, c := range []struct {
		name string
		breakage
		want string
	}{
		{"whole", func(*testing.T, string) {}, ""},
		{"last missing", remove("004"), "b.tar.004 is missing"},
		{"two missing", func(t *testing.T, name string) { remove("004")(t, name); remove("003")(t, name) }, "b.tar.003 to DIR/b.tar.004 are missing"},
		{"all but one missing", func(t *testing.T, name string) {
			remove("004")(t, name)
			remove("003")(t, name)
			remove("002")(t, name)
		}, "b.tar.002 is missing, or DIR/b.tar.001 is cut off"},
		{"last cut off", truncate("004", 7), "b.tar.004 is cut off: it has 7 bytes of 10"},
		{"last too long", truncate("004", 11), "b.tar.004 is 1 bytes too long"},
		{"one too many", func(t *testing.T, name string) {
			truncate("004", 30)(t, name)
			require.NoError(t, os.WriteFile(name+".005", sample(5), 0o644))
		}, "b.tar.005 does not belong to it: it has 4 volumes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := cut(t)
			c.breakage(t, name)
			s, err := location.Open(t.Context(), name, location.Options{})
			require.NoError(t, err)
			defer s.Close()
			got := s.Missing(100)
			got = string(bytes.ReplaceAll([]byte(got), []byte(filepath.Dir(name)), []byte("DIR")))
			if c.want != "" {
				c.want = "DIR/" + c.want
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestMissingRemoteVolume(t *testing.T) {
	name := cut(t)
	url, ca := stores.Web(t, filepath.Dir(name))
	opts := quick(location.Options{CAFile: ca})
	s, err := location.Open(t.Context(), url+"/b.tar", opts)
	require.NoError(t, err)
	require.EqualValues(t, 100, s.Size())
	require.NoError(t, s.Close())
	remove("002")(t, name)
	_, err = location.Open(t.Context(), url+"/b.tar.001", opts)
	require.ErrorIs(t, err, location.ErrVolumes)
	require.ErrorContains(t, err, "b.tar.002 is missing, but "+url+"/b.tar.003 is there")
	remove("001")(t, name)
	_, err = location.Open(t.Context(), url+"/b.tar", opts)
	require.ErrorContains(t, err, "b.tar.001 is missing")
}

func TestRemoteVolumesManyAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.tar")
	copyTo(t, name, sample(1000), location.CreateOptions{VolumeSize: 50}) // more than are probed at once
	url, ca := stores.Web(t, filepath.Dir(name), func(h http.Handler) http.Handler { return h })
	s, err := location.Open(t.Context(), url+"/b.tar", quick(location.Options{CAFile: ca}))
	require.NoError(t, err)
	defer s.Close()
	require.EqualValues(t, 1000, s.Size())
}

func TestTooManyVolumes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.tar")
	data := sample(5000)
	err := location.Copy(t.Context(), location.Bytes(bytes.NewReader(data), 5000), name, nil, location.CreateOptions{VolumeSize: 5})
	require.ErrorContains(t, err, "1000 volumes, the limit is 999")
	require.Equal(t, problem.Usage, problem.KindOf(err))
	require.NoError(t, location.Copy(t.Context(), location.Bytes(bytes.NewReader(data), 5000), name, nil, location.CreateOptions{VolumeSize: 6}))
	require.Equal(t, data, joined(t, name))
}

// TestOutputsAreNew checks that a copy takes no name that is in use, and
// leaves nothing when it fails.
func TestOutputsAreNew(t *testing.T) {
	name := cut(t)
	src := location.Bytes(bytes.NewReader(sample(100)), 100)
	for _, size := range []int64{0, 10, 200} {
		err := location.Copy(t.Context(), src, name, nil, location.CreateOptions{VolumeSize: size})
		require.ErrorIs(t, err, location.ErrExists)
	}
	require.Equal(t, sample(100), joined(t, name))

	short := location.Bytes(bytes.NewReader(sample(50)), 100)
	for _, size := range []int64{0, 10} {
		other := filepath.Join(t.TempDir(), "other")
		require.Error(t, location.Copy(t.Context(), short, other, nil, location.CreateOptions{VolumeSize: size}))
		left, err := os.ReadDir(filepath.Dir(other))
		require.NoError(t, err)
		require.Empty(t, left)
	}
	require.ErrorIs(t, location.CheckSpace(name, 1<<55), location.ErrNoSpace)
}

func TestSecondOutputIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.tar")
	w, err := location.Create(t.Context(), name, 100, location.CreateOptions{VolumeSize: 30})
	require.NoError(t, err)
	_, err = w.Write(sample(40))
	require.NoError(t, err)
	_, err = location.Create(t.Context(), name, 100, location.CreateOptions{VolumeSize: 30})
	require.ErrorIs(t, err, location.ErrBusy)
	require.Error(t, w.Commit(), "not whole yet")
	_, err = w.Write(sample(100)[:60])
	require.NoError(t, err)
	_, err = w.Write([]byte("x"))
	require.Error(t, err, "longer than announced")
	require.NoError(t, w.Commit())
	require.Len(t, joined(t, name), 100)
}

// FuzzVolumes puts any sizes together: whatever they are, the volumes are
// refused or read as their sum.
func FuzzVolumes(f *testing.F) {
	f.Add(uint8(3), uint8(3), uint8(1))
	f.Add(uint8(0), uint8(3), uint8(0))
	f.Fuzz(func(t *testing.T, a, b, c uint8) {
		name := filepath.Join(t.TempDir(), "b")
		var all []byte
		for i, n := range []uint8{a, b, c} {
			data := sample(int(n))
			all = append(all, data...)
			require.NoError(t, os.WriteFile(location.VolumeName(name, i+1), data, 0o600))
		}
		s, err := location.Open(t.Context(), name, location.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		got := make([]byte, len(all))
		_, err = s.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, all, got)
		for want := range int64(600) {
			_ = s.Missing(want)
			_ = s.Place(want, 7)
		}
	})
}
