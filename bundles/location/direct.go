package location

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// bufferSize is the size of an Output's buffers, in bytes.
	bufferSize = 512 << 10
	// maxEdges is how many bytes of blocks that are written in part are kept
	// back at most, whatever the number of blobs.
	maxEdges = 4 << 20
	// flushJobs is how many edges are written at once.
	flushJobs = 8
)

// sink takes the bytes of one file, by many goroutines at once.
type sink interface {
	io.WriterAt
	io.Closer
	// startWriteback asks the disk to begin with length bytes from off.
	startWriteback(off, length int64)
	// flush hands to the system what was kept back.
	flush() error
}

// cachedFile is a sink that writes through the system's cache. The file itself
// is closed by its owner.
type cachedFile struct{ *os.File }

func (f cachedFile) startWriteback(off, length int64) { startWriteback(f.File, off, length) }
func (cachedFile) flush() error                       { return nil }

// Close implements io.Closer.
func (cachedFile) Close() error { return nil }

// directFile is a sink that writes past the system's cache. The disk takes
// whole blocks only, while neighbors in the file end and begin within one: such
// an edge is a block that is read when the first of them writes into it, changed in
// memory, and written, as a whole, by flush. So no two ways ever lead to the same bytes.
//
// The block that the end of the file cuts goes through the cache, always:
// written directly it would make the file longer.
type directFile struct {
	cached  *os.File
	direct  *os.File
	size    int64                   // of the file
	block   int64                   // size of a block: a page, which the cache and the disk agree on
	blocks  atomic.Pointer[os.File] // takes whole blocks: direct, until the file system refuses it
	buffers *buffers

	mu    sync.Mutex
	edges map[int64][]byte // by number of the block
}

// newDirectFile opens f, which has its full size, a second time. It returns
// nil where the file system cannot be written to directly.
func newDirectFile(f *os.File, size int64, b *buffers) *directFile {
	direct, err := os.OpenFile(f.Name(), os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil
	}
	d := &directFile{cached: f, direct: direct, size: size, block: b.block, buffers: b, edges: map[int64][]byte{}}
	d.blocks.Store(direct)
	return d
}

// WriteAt implements io.WriterAt. Memory of Output.Buffer is written as it is,
// if it begins where Output.Piece says; other memory is copied first.
func (d *directFile) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		at, rest := off+int64(n), p[n:]
		var m int
		if in := at % d.block; in == 0 && int64(len(rest)) >= d.block {
			m, err = d.writeWhole(rest[:int64(len(rest))/d.block*d.block], at)
		} else {
			m, err = d.writeEdge(rest[:min(int64(len(rest)), d.block-in)], at)
		}
		n += m
	}
	return n, err
}

// writeWhole writes whole blocks. What was kept back of them is older.
func (d *directFile) writeWhole(p []byte, off int64) (n int, err error) {
	d.mu.Lock()
	for at := off; at < off+int64(len(p)); at += d.block {
		delete(d.edges, at/d.block)
	}
	d.mu.Unlock()
	if d.buffers.aligned(p) {
		return d.writeBlocks(p, off)
	}
	buf := d.buffers.get()
	defer d.buffers.put(buf)
	for n < len(p) && err == nil {
		var m int
		m, err = d.writeBlocks(buf[:copy(buf, p[n:])], off+int64(n))
		n += m
	}
	return n, err
}

// writeBlocks writes whole blocks of aligned memory.
func (d *directFile) writeBlocks(p []byte, off int64) (int, error) {
	return d.directly((*os.File).WriteAt, p, off)
}

// directly reads or writes whole blocks. Some file systems take the flag when
// a file is opened, and refuse what comes then: they are asked once.
func (d *directFile) directly(do func(*os.File, []byte, int64) (int, error), p []byte, off int64) (int, error) {
	f := d.blocks.Load()
	n, err := do(f, p, off)
	if f == d.direct && errors.Is(err, unix.EINVAL) {
		d.blocks.Store(d.cached)
		return do(d.cached, p, off)
	}
	return n, err
}

// writeEdge changes a part of one block, in memory.
func (d *directFile) writeEdge(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edge, err := d.edge(off / d.block)
	if err != nil {
		return 0, err
	}
	return copy(edge[off%d.block:], p), nil
}

// edge returns what is kept of a block; the disk knows what others have
// written into it before.
func (d *directFile) edge(number int64) ([]byte, error) {
	if edge, ok := d.edges[number]; ok {
		return edge, nil
	}
	if int64(len(d.edges)) >= maxEdges/d.block {
		if err := d.flushEdges(); err != nil {
			return nil, err
		}
	}
	edge := make([]byte, d.block)
	if err := d.read(edge, number*d.block); err != nil {
		return nil, err
	}
	d.edges[number] = edge
	return edge, nil
}

// read reads one block, in the way in which it is written.
func (d *directFile) read(edge []byte, off int64) error {
	if rest := d.size - off; rest < d.block {
		_, err := d.cached.ReadAt(edge[:rest], off)
		return err
	}
	buf := d.buffers.get()
	defer d.buffers.put(buf)
	_, err := d.directly((*os.File).ReadAt, buf[:d.block], off)
	copy(edge, buf)
	return err
}

// flush implements sink.
func (d *directFile) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushEdges()
}

// flushEdges writes all edges, neighbors at once, and forgets them.
func (d *directFile) flushEdges() error {
	var g errgroup.Group
	g.SetLimit(flushJobs)
	for _, run := range d.runs() {
		g.Go(func() error { return d.writeEdges(run) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	clear(d.edges)
	return nil
}

// runs returns the numbers of the edges, neighbors together, as many as a
// buffer takes. The block that the end of the file cuts comes alone.
func (d *directFile) runs() (out [][]int64) {
	for _, n := range slices.Sorted(maps.Keys(d.edges)) {
		last := len(out) - 1
		if last >= 0 && n == out[last][0]+int64(len(out[last])) && n != d.size/d.block && int64(len(out[last])) < bufferSize/d.block {
			out[last] = append(out[last], n)
		} else {
			out = append(out, []int64{n})
		}
	}
	return out
}

// writeEdges writes edges that are neighbors.
func (d *directFile) writeEdges(run []int64) error {
	off := run[0] * d.block
	if rest := d.size - off; rest < d.block {
		_, err := d.cached.WriteAt(d.edges[run[0]][:rest], off)
		return err
	}
	buf := d.buffers.get()
	defer d.buffers.put(buf)
	n := 0
	for _, number := range run {
		n += copy(buf[n:], d.edges[number])
	}
	_, err := d.writeBlocks(buf[:n], off)
	return err
}

// startWriteback implements sink: the disk has begun already.
func (*directFile) startWriteback(int64, int64) {}

// Close implements io.Closer.
func (d *directFile) Close() error { return d.direct.Close() }

// buffers are used again and again, so that memory does not grow. Each begins
// at a multiple of a page.
type buffers struct {
	block int64
	free  sync.Pool
}

func newBuffers() *buffers {
	b := &buffers{block: int64(os.Getpagesize())}
	b.free.New = func() any {
		p := make([]byte, bufferSize+b.block)
		p = p[b.past(p):][:bufferSize]
		return &p
	}
	return b
}

// past returns how many bytes come before the next page.
func (b *buffers) past(p []byte) int64 {
	return -int64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))) & (b.block - 1) //nolint:gosec // only to look at the address
}

func (b *buffers) aligned(p []byte) bool { return b.past(p) == 0 }
func (b *buffers) get() []byte           { return *b.free.Get().(*[]byte) }
func (b *buffers) put(p []byte)          { b.free.Put(&p) }
