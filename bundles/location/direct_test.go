package location

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ways are the ways in which an Output may write. All make the same bytes.
var ways = map[string]func(t *testing.T, o *Output){
	"through the cache": func(*testing.T, *Output) {},
	"directly": func(t *testing.T, o *Output) {
		if o.Direct(); o.sinks[0] == (sink(cachedFile{o.files[0]})) {
			t.Skip("the file system of the tests' folders takes no direct writes")
		}
		t.Cleanup(func() { requireDirect(t, o, true) })
	},
	// No disk takes blocks of 64 bytes: the file system refuses them all.
	"refused": func(_ *testing.T, o *Output) {
		o.block = 64
		o.Direct()
	},
}

// requireDirect checks whether an output was written directly to its end.
func requireDirect(t *testing.T, o *Output, want bool) {
	for _, s := range o.sinks {
		d, ok := s.(*directFile)
		require.Equal(t, want, ok && d.blocks.Load() == d.direct)
	}
}

func newOutput(t *testing.T, name string, size, volume int64, way string) *Output {
	o, err := NewOutput(name, size, volume)
	require.NoError(t, err)
	require.NoError(t, o.Allocate())
	ways[way](t, o)
	return o
}

// stretch is what one writer writes of a file, in order.
type stretch struct {
	from, to int64
	at       int64 // written so far
	random   *rand.Rand
}

// stretches divides size bytes at random, most often where a tar would.
func stretches(random *rand.Rand, size int64) []*stretch {
	var out []*stretch
	for at := int64(0); at < size; {
		length := 1 + random.Int64N(20_000)
		if random.IntN(4) > 0 {
			length = roundUp(length, 512)
		}
		to := min(at+length, size)
		out = append(out, &stretch{from: at, to: to, at: at, random: rand.New(rand.NewPCG(random.Uint64(), 0))})
		at = to
	}
	return out
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// write writes the next piece, in memory of either kind; now and then it
// begins again, over bytes that were wrong.
func (s *stretch) write(o *Output, data []byte) error {
	buf := o.Buffer()
	defer o.Release(buf)
	if s.random.IntN(10) == 0 {
		wrong := buf[1:][:s.random.Int64N(s.to-s.from+1)]
		for i := range wrong {
			wrong[i] = 0xee
		}
		if _, err := o.WriteAt(wrong, s.from); err != nil {
			return err
		}
		s.at = s.from
	}
	piece := o.Piece(buf, s.at)
	if s.random.IntN(2) == 0 {
		piece = buf[1:]
	}
	n := copy(piece, data[s.at:min(s.to, s.at+1+s.random.Int64N(30_000))])
	n, err := o.WriteAt(piece[:n], s.at)
	s.at += int64(n)
	return err
}

// writeAll writes some rounds of all stretches at once.
func writeAll(t *testing.T, o *Output, data []byte, all []*stretch, rounds int) {
	var wg sync.WaitGroup
	failures := make([]error, len(all))
	for i, s := range all {
		wg.Go(func() {
			for n := 0; n < rounds && s.at < s.to && failures[i] == nil; n++ {
				failures[i] = s.write(o, data)
			}
		})
	}
	require.NoError(t, o.SyncData()) // while they write
	wg.Wait()
	for _, err := range failures {
		require.NoError(t, err)
	}
}

// contentOf reads what is in the files of an output, whether it was committed or not.
func contentOf(t *testing.T, o *Output) []byte {
	var out []byte
	for _, name := range o.names {
		data, err := os.ReadFile(name + partialSuffix)
		if err != nil {
			data, err = os.ReadFile(name)
		}
		require.NoError(t, err)
		out = append(out, data...)
	}
	return out
}

// TestOutputConformance writes random stretches of a file at once, in every
// way, by runs that are lost right after their bytes were made durable, and
// compares what is on the disk with what was written.
func TestOutputConformance(t *testing.T) {
	for way := range ways {
		for seed := range uint64(25) {
			t.Run(fmt.Sprintf("%s/%d", way, seed), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, 1))
				size := 1 + random.Int64N(1<<20)
				volume := int64(0)
				if random.IntN(3) == 0 {
					volume = size/5 + random.Int64N(size)
				}
				data := make([]byte, size)
				for i := range data {
					data[i] = byte(random.Uint32())
				}
				name := filepath.Join(t.TempDir(), "out")
				all := stretches(random, size)
				for unfinished := true; unfinished; {
					o := newOutput(t, name, size, volume, way)
					writeAll(t, o, data, all, 1+random.IntN(4))
					require.NoError(t, o.SyncData())
					got := contentOf(t, o)
					unfinished = false
					for _, s := range all {
						require.True(t, bytes.Equal(data[s.from:s.at], got[s.from:s.at]), "bytes %d to %d are durable", s.from, s.at)
						unfinished = unfinished || s.at < s.to
					}
					if unfinished { // what is written from here on is lost
						n := random.Int64N(size)
						for _, s := range all {
							if s.at == s.from && s.to > n {
								_, err := o.WriteAt(make([]byte, s.to-s.from), s.from)
								require.NoError(t, err)
							}
						}
					} else {
						require.NoError(t, o.Commit())
						require.True(t, bytes.Equal(data, contentOf(t, o)))
					}
					require.NoError(t, o.Close())
				}
			})
		}
	}
}

// TestRefusedDirectWrites checks that the way that a file system refuses is left.
func TestRefusedDirectWrites(t *testing.T) {
	o := newOutput(t, filepath.Join(t.TempDir(), "out"), 1<<20, 0, "refused")
	defer o.Close()
	_, err := o.WriteAt(make([]byte, 1<<19), 10)
	require.NoError(t, err)
	requireDirect(t, o, false)
}

// TestDirectWritesLeaveTheCacheOut checks that a direct file is one.
func TestDirectWritesLeaveTheCacheOut(t *testing.T) {
	const size = 8 << 20
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(t.TempDir(), &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("tmpfs is nothing but cache")
	}
	o := newOutput(t, filepath.Join(t.TempDir(), "out"), size+100, 0, "directly")
	defer o.Close()
	_, err := o.WriteAt(bytes.Repeat([]byte("x"), size+100), 0)
	require.NoError(t, err)
	require.NoError(t, o.SyncData())
	f := o.files[0]
	mapped, err := unix.Mmap(int(f.Fd()), 0, size+100, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	defer unix.Munmap(mapped)
	pages := make([]byte, size/os.Getpagesize()+1)
	require.NoError(t, mincore(mapped, pages))
	cached := 0
	for _, p := range pages {
		cached += int(p & 1)
	}
	require.LessOrEqual(t, cached, 1, "only the block that the end cuts is in the cache")
	require.Equal(t, byte(1), pages[len(pages)-1]&1)
}

// TestEdgesAreBounded writes into more blocks than are kept back.
func TestEdgesAreBounded(t *testing.T) {
	const size = maxEdges * 4
	o := newOutput(t, filepath.Join(t.TempDir(), "out"), size, 0, "directly")
	defer o.Close()
	d := o.sinks[0].(*directFile)
	want := make([]byte, size)
	for at := int64(100); at < size; at += d.block {
		want[at] = 'x'
		_, err := o.WriteAt([]byte("x"), at)
		require.NoError(t, err)
		require.LessOrEqual(t, int64(len(d.edges))*d.block, int64(maxEdges))
	}
	require.NoError(t, o.SyncData())
	require.Empty(t, d.edges)
	require.True(t, bytes.Equal(want, contentOf(t, o)))
}

// mincore tells which pages of a mapping are in the cache.
func mincore(mapped, pages []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[0])), uintptr(len(mapped)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
