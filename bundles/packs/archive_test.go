package packs_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// entry is an entry of an archive. Its mode tells what it is.
type entry struct {
	name, text string
	mode       fs.FileMode // fs.ModeSymlink: text is the target
	kind       byte        // of a tar header, instead of mode
}

// whole returns the entries of a good pack, then more.
func whole(more ...entry) []entry {
	return append([]entry{{name: "pack.json", text: small("")}, {name: "values.yaml", text: "a: 1\n"}}, more...)
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Size: int64(len(e.text)), Mode: 0o644}
		switch {
		case e.kind != 0:
			h.Typeflag, h.Linkname, h.Size = e.kind, e.text, 0
		case e.mode.IsDir():
			h.Typeflag, h.Size = tar.TypeDir, 0
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.text, 0
		}
		require.NoError(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte(e.text))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstded(t testing.TB, data []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	require.NoError(t, err)
	return w.EncodeAll(data, nil)
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o644)
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write([]byte(e.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// archives returns the entries in each kind of archive.
func archives(t testing.TB, entries ...entry) map[string][]byte {
	return map[string][]byte{
		"p.tar.gz":  gzipped(t, tarOf(t, entries...)),
		"p.tar.zst": zstded(t, tarOf(t, entries...)),
		"p.zip":     zipOf(t, entries...),
	}
}

func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestOpenArchive(t *testing.T) {
	entries := whole(entry{name: "charts/", mode: fs.ModeDir}, entry{name: "./charts/a-1.0.0.tgz", text: "chart"},
		entry{name: "deep/er/file", text: ""}, entry{name: "link", text: "deep/../values.yaml", mode: fs.ModeSymlink})
	for name, data := range archives(t, entries...) {
		t.Run(name, func(t *testing.T) {
			path := file(t, name, data)
			temp := ownTemp(t)
			p, err := packs.Open(t.Context(), path)
			require.NoError(t, err)
			require.Equal(t, map[string]string{"pack.json": small(""), "values.yaml": "a: 1\n", "charts/a-1.0.0.tgz": "chart", "deep/er/file": "", "link": "a: 1\n"}, contents(t, p))
			require.NoError(t, p.Close())
			requireEmpty(t, temp)
		})
	}
}

// Many people pack the folder, not what is in it.
func TestArchiveOfTheFolder(t *testing.T) {
	for name, data := range archives(t, entry{name: "small-1.0.0/pack.json", text: small("")}, entry{name: "small-1.0.0/values.yaml", text: "a: 1\n"}) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, map[string]string{"pack.json": small(""), "values.yaml": "a: 1\n"}, contents(t, open(t, file(t, name, data))))
		})
	}
}

// refused opens an archive that must be refused, and checks that nothing of it stays.
func refused(t *testing.T, path string, want error, text string) {
	t.Helper()
	temp := ownTemp(t)
	before := tree(t, filepath.Dir(path))
	p, err := packs.Open(t.Context(), path)
	if err == nil {
		require.NoError(t, p.Close())
	}
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, text)
	require.ErrorContains(t, err, filepath.Base(path))
	requireEmpty(t, temp)
	require.Equal(t, before, tree(t, filepath.Dir(path)), "nothing is written beside the archive")
}

// tree returns the paths below a folder and its parent.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		out = append(out, path)
		return err
	}))
	return out
}

func TestHostileArchives(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, c := range map[string]struct {
		entries []entry
		want    error
		text    string
	}{
		"no pack.json":            {[]entry{{name: "values.yaml"}}, packs.ErrInvalid, "there is no pack.json"},
		"nothing":                 {nil, packs.ErrInvalid, "there is no pack.json"},
		"name up":                 {whole(entry{name: "../outside", text: "x"}), packs.ErrUnsafe, `"../outside"`},
		"name up, later":          {whole(entry{name: "a/../../outside", text: "x"}), packs.ErrUnsafe, `"a/../../outside"`},
		"name up, staying inside": {whole(entry{name: "a/../outside", text: "x"}), packs.ErrUnsafe, `"a/../outside"`},
		"name up, folder":         {whole(entry{name: "../outside/", mode: fs.ModeDir}), packs.ErrUnsafe, `"../outside/"`},
		"absolute":                {whole(entry{name: outside, text: "x"}), packs.ErrUnsafe, "outside"},
		"absolute, folder":        {whole(entry{name: outside + "/", mode: fs.ModeDir}), packs.ErrUnsafe, "outside"},
		"backslashes":             {whole(entry{name: `..\..\outside`, text: "x"}), packs.ErrUnsafe, `..\\..\\outside`},
		"drive":                   {whole(entry{name: `C:outside`, text: "x"}), packs.ErrUnsafe, `C:outside`},
		"control character":       {whole(entry{name: "a\x1b[2Jb", text: "x"}), packs.ErrUnsafe, `a\x1b[2Jb`},
		"not UTF-8":               {whole(entry{name: "a\xff", text: "x"}), packs.ErrUnsafe, `a\xff`},
		"long name":               {whole(entry{name: strings.Repeat("a/", 600) + "x", text: "x"}), packs.ErrUnsafe, "a/a/a"},
		"link out":                {whole(entry{name: "out", text: "../../..", mode: fs.ModeSymlink}), packs.ErrUnsafe, "link out"},
		"link out, absolute":      {whole(entry{name: "out", text: "/etc/passwd", mode: fs.ModeSymlink}), packs.ErrUnsafe, "/etc/passwd"},
		"file through a link":     {whole(entry{name: "out", text: filepath.Dir(outside), mode: fs.ModeSymlink}, entry{name: "out/outside", text: "x"}), packs.ErrUnsafe, "link out"},
		"file through a way up":   {whole(entry{name: "out", text: "..", mode: fs.ModeSymlink}, entry{name: "out/outside", text: "x"}), packs.ErrInvalid, "out stands twice"},
		"link to itself":          {whole(entry{name: "a", text: "a", mode: fs.ModeSymlink}), packs.ErrUnsafe, "in a circle"},
		"links in a circle":       {whole(entry{name: "a", text: "b", mode: fs.ModeSymlink}, entry{name: "b", text: "a", mode: fs.ModeSymlink}), packs.ErrUnsafe, "in a circle"},
		"link to its folder":      {whole(entry{name: "a/b", text: "..", mode: fs.ModeSymlink}), packs.ErrInvalid, "leads to a folder"},
		"pack.json is a link out": {[]entry{{name: "pack.json", text: "../../etc/passwd", mode: fs.ModeSymlink}}, packs.ErrUnsafe, "link pack.json"},
		"file twice":              {whole(entry{name: "values.yaml", text: "b: 2\n"}), packs.ErrInvalid, "values.yaml stands twice"},
		"file twice, other name":  {whole(entry{name: "./values.yaml", text: "b: 2\n"}), packs.ErrInvalid, "values.yaml stands twice"},
		"file and link":           {whole(entry{name: "values.yaml", text: "pack.json", mode: fs.ModeSymlink}), packs.ErrInvalid, "values.yaml stands twice"},
		"file below a file":       {whole(entry{name: "values.yaml/x", text: "x"}), packs.ErrInvalid, "values.yaml"},
	} {
		for kind, data := range archives(t, c.entries...) {
			t.Run(name+" "+kind, func(t *testing.T) {
				refused(t, file(t, kind, data), c.want, c.text)
			})
		}
	}
	require.NoFileExists(t, outside)
}

func TestOddTarEntries(t *testing.T) {
	for name, kind := range map[string]byte{"hard link": tar.TypeLink, "device": tar.TypeBlock, "terminal": tar.TypeChar, "pipe": tar.TypeFifo} {
		t.Run(name, func(t *testing.T) {
			refused(t, file(t, "p.tar.gz", gzipped(t, tarOf(t, whole(entry{name: "odd", text: "pack.json", kind: kind})...))), packs.ErrInvalid, "odd is neither file nor folder nor symbolic link")
		})
	}
}

// A global header, as git archive writes it, is no entry.
func TestTarOfGit(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "commit"}}))
	require.NoError(t, w.Flush())
	out.Write(tarOf(t, whole()...))
	require.Len(t, contents(t, open(t, file(t, "p.tar.gz", gzipped(t, out.Bytes())))), 2)
}

func TestDamagedArchives(t *testing.T) {
	for name, data := range archives(t, whole(entry{name: "more", text: strings.Repeat("more and more ", 1000)})...) {
		t.Run(name, func(t *testing.T) {
			refused(t, file(t, name, data[:len(data)/2]), packs.ErrInvalid, "damaged")
			flipped := bytes.Clone(data)
			flipped[len(flipped)/2] ^= 0x10
			p, err := packs.Open(t.Context(), file(t, name, flipped))
			if err == nil { // zip does not look at everything
				require.NoError(t, p.Close())
			}
		})
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("no archive at all"), "plain.tar": tarOf(t, whole()...)} {
		t.Run(name, func(t *testing.T) { refused(t, file(t, name, data), packs.ErrInvalid, "no archive that packs come in") })
	}
	method := zipOf(t, whole()...)
	method = bytes.ReplaceAll(method, []byte{8, 0, 0, 0, 0, 0}, []byte{95, 0, 0, 0, 0, 0}) // xz, and what follows is none
	refused(t, file(t, "method.zip", method), packs.ErrInvalid, "packed in an unusual way")
}

func TestOpenIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, data := range archives(t, whole()...) {
		t.Run(name, func(t *testing.T) {
			path := file(t, name, data)
			temp := ownTemp(t)
			_, err := packs.Open(ctx, path)
			require.ErrorIs(t, err, context.Canceled)
			requireEmpty(t, temp)
		})
	}
}

const gib = 1 << 30

// zeros are what bombs are made of, a piece at a time.
var zeros = make([]byte, 64<<20)

// header returns the tar header of a file of that size.
func header(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, tar.NewWriter(&out).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, Format: tar.FormatGNU}))
	return out.Bytes()
}

// bombTar returns a packed tar file of n files of that many bytes, all zeros.
// Packed pieces can be strung together, so that none is packed twice.
func bombTar(t *testing.T, pack func(testing.TB, []byte) []byte, n int, size int64) []byte {
	t.Helper()
	out := pack(t, tarOf(t, whole()...)[:4*512])
	piece := pack(t, zeros)
	for i := range n {
		out = append(out, pack(t, header(t, fmt.Sprintf("bomb%d", i), size))...)
		for range size / int64(len(zeros)) {
			out = append(out, piece...)
		}
	}
	return out
}

// bombZip returns a zip file with a file that unpacks to 10 GiB and says to have declared bytes.
func bombZip(t *testing.T, declared uint64) []byte {
	t.Helper()
	var piece bytes.Buffer
	w, err := flate.NewWriter(&piece, flate.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(zeros)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	packed := append(bytes.Repeat(piece.Bytes(), 10*gib/len(zeros)), 3, 0)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range whole() {
		f, err := z.Create(e.name)
		require.NoError(t, err)
		_, err = f.Write([]byte(e.text))
		require.NoError(t, err)
	}
	raw, err := z.CreateRaw(&zip.FileHeader{Name: "bomb", Method: zip.Deflate, UncompressedSize64: declared, CompressedSize64: uint64(len(packed))})
	require.NoError(t, err)
	_, err = raw.Write(packed)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestBombs(t *testing.T) {
	zst := func(t testing.TB, data []byte) []byte { return zstded(t, data) }
	for name, c := range map[string]struct {
		make func(*testing.T) string // and returns its path
		text string
	}{
		"10 GiB in one file p.tar.gz":   {func(t *testing.T) string { return file(t, "p.tar.gz", bombTar(t, gzipped, 1, 10*gib)) }, "more than 512 MiB"},
		"10 GiB in one file p.tar.zst":  {func(t *testing.T) string { return file(t, "p.tar.zst", bombTar(t, zst, 1, 10*gib)) }, "more than 512 MiB"},
		"10 GiB in 80 files p.tar.gz":   {func(t *testing.T) string { return file(t, "p.tar.gz", bombTar(t, gzipped, 80, 128<<20)) }, "more than 100 times its size"},
		"10 GiB in 80 files p.tar.zst":  {func(t *testing.T) string { return file(t, "p.tar.zst", bombTar(t, zst, 80, 128<<20)) }, "more than 100 times its size"},
		"10 GiB in one file p.zip":      {func(t *testing.T) string { return file(t, "p.zip", bombZip(t, 10*gib)) }, "more than 512 MiB"},
		"10 GiB that say 400 MiB p.zip": {func(t *testing.T) string { return file(t, "p.zip", bombZip(t, 400<<20)) }, "more than 100 times its size"},
		"10 GiB of holes p.tar.gz":      {sparse, "more than 512 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.make(t)
			peak := watchHeap()
			refused(t, path, content.ErrTooLarge, c.text)
			require.Less(t, peak(), int64(64<<20), "memory stays flat")
		})
	}
}

// sparse makes a tar file of a file that is one hole of 10 GiB.
func sparse(t *testing.T) string {
	dir := write(t, map[string]string{"pack.json": small("")})
	require.NoError(t, os.Truncate(filepath.Join(dir, "pack.json"), 10*gib))
	path := filepath.Join(t.TempDir(), "p.tar.gz")
	out, err := exec.CommandContext(t.Context(), "tar", "-C", dir, "--sparse", "-czf", path, "pack.json").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// watchHeap returns what tells by how many bytes the heap grew at most since.
func watchHeap() func() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	before, peak := int64(stats.HeapInuse), int64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				peak = max(peak, int64(stats.HeapInuse)-before)
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		return peak
	}
}

func TestZstdThatAsksForMuchMemory(t *testing.T) {
	data := make([]byte, 130<<20)
	big := zstded(t, append(tarOf(t, whole()...), data...), zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))
	refused(t, file(t, "p.tar.zst", big), content.ErrTooLarge, "more than 32 MiB of memory")
}

func TestTooManyEntries(t *testing.T) {
	many := make([]entry, 10_001)
	for i := range many {
		many[i] = entry{name: "again/", mode: fs.ModeDir}
	}
	for name, data := range archives(t, whole(many...)...) {
		t.Run(name, func(t *testing.T) {
			refused(t, file(t, name, data), content.ErrTooLarge, "more than 10000 files and folders")
		})
	}
	t.Run("folder", func(t *testing.T) {
		if testing.Short() {
			t.Skip("makes ten thousand folders")
		}
		dir := write(t, map[string]string{"pack.json": small("")})
		for i := range 10_000 {
			require.NoError(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o750))
		}
		_, err := packs.Open(t.Context(), dir)
		require.ErrorIs(t, err, content.ErrTooLarge)
	})
}

// The directory of a zip file is in memory before its first entry is handed
// out, whatever number of entries the file says to have.
func TestZipWithAMillionEntries(t *testing.T) {
	var out bytes.Buffer
	const n = 1 << 20
	record := make([]byte, 46+1) // a central directory header with a name of one letter
	copy(record, "PK\x01\x02")
	binary.LittleEndian.PutUint16(record[28:], 1)
	record[46] = 'x'
	out.WriteString("PK\x03\x04")
	out.Write(make([]byte, 30))
	start := out.Len()
	for range n {
		out.Write(record)
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint32(end[12:], uint32(out.Len()-start))
	binary.LittleEndian.PutUint32(end[16:], uint32(start))
	out.Write(end)
	path := file(t, "p.zip", out.Bytes())
	out = bytes.Buffer{}
	peak := watchHeap()
	refused(t, path, content.ErrTooLarge, "files and folders")
	require.Less(t, peak(), int64(64<<20), "memory stays flat")
}

func TestLargeFolder(t *testing.T) {
	dir := write(t, map[string]string{"pack.json": small(""), "big": ""})
	require.NoError(t, os.Truncate(filepath.Join(dir, "big"), gib))
	_, err := packs.Open(t.Context(), dir)
	require.ErrorIs(t, err, content.ErrTooLarge)
	require.NoError(t, os.Remove(filepath.Join(dir, "big")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "values.yaml"), make([]byte, 2<<20), 0o600))
	_, err = packs.Open(t.Context(), dir)
	require.ErrorIs(t, err, content.ErrTooLarge)
	require.ErrorContains(t, err, "values.yaml has more than 1 MiB")
}

func FuzzArchive(f *testing.F) {
	for _, data := range archives(f, whole(entry{name: "a/b", text: "x"}, entry{name: "l", text: "a/b", mode: fs.ModeSymlink})...) {
		f.Add(data)
	}
	f.Add(gzipped(f, tarOf(f, entry{name: "../x", text: "x"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := file(t, "p", data)
		temp := ownTemp(t)
		p, err := packs.Open(t.Context(), path)
		if err == nil {
			for _, file := range p.Files() {
				r, err := file.Open()
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, r)
				require.NoError(t, err)
				require.NoError(t, r.Close())
			}
			p.Problems()
			require.NoError(t, p.Close())
		} else {
			_ = problem.Remedies(err)
		}
		requireEmpty(t, temp)
		require.Len(t, tree(t, filepath.Dir(path)), 2)
	})
}

// FuzzTar goes past the packing.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, whole(entry{name: "a/b", text: "x"}, entry{name: "l", text: "a/b", mode: fs.ModeSymlink})...))
	f.Add(tarOf(f, entry{name: "../x", text: "x"}, entry{name: "odd", text: "pack.json", kind: tar.TypeLink}))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := file(t, "p", zstded(t, data))
		temp := ownTemp(t)
		if p, err := packs.Open(t.Context(), path); err == nil {
			require.NoError(t, p.Close())
		}
		requireEmpty(t, temp)
		require.Len(t, tree(t, filepath.Dir(path)), 2)
	})
}
