package location

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// blockSize is how many bytes a remote source is asked for at once.
	blockSize = 2 << 20
	// maxBlocks bounds the memory of a cache: 32 MiB, whatever is read.
	maxBlocks = 16
	// readAhead is how many blocks are asked for before a reader that goes on
	// in order needs them.
	readAhead = 2
	// maxAhead is how many blocks may wait for readers that have not come yet:
	// the rest of the cache is for those that are there.
	maxAhead = maxBlocks / 2
)

// blocks is a small cache before a source whose every call is slow. Readers
// that go on in order, many at a time, find the next block there already; two
// that want the same one share its request. Buffers are used again: memory
// does not grow.
type blocks struct {
	ctx  context.Context //nolint:containedctx // io.ReaderAt has none: that of the source, which ends with it
	from io.ReaderAt
	size int64

	mu     sync.Mutex
	free   *sync.Cond // a block lost its last reader, or was filled
	held   map[int64]*block
	recent *list.List // of *block, the latest first
	ahead  int        // blocks that nobody has read yet
	broken error      // the source became another one: nothing of it is good
	fills  sync.WaitGroup
}

// block is blockSize bytes of the source, at number*blockSize.
type block struct {
	number  int64
	data    []byte
	buf     []byte
	err     error
	ready   chan struct{} // closed when data or err is there
	filled  bool
	readers int
	unread  bool // asked for ahead, and nobody came yet
	passed  bool // somebody read it to its end
	where   *list.Element
}

func newBlocks(ctx context.Context, from io.ReaderAt, size int64) *blocks {
	b := &blocks{ctx: ctx, from: from, size: size, held: map[int64]*block{}, recent: list.New()}
	b.free = sync.NewCond(&b.mu)
	return b
}

// ReadAt implements io.ReaderAt.
func (b *blocks) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d", off)
	}
	n := 0
	for n < len(p) {
		if off >= b.size {
			return n, io.EOF
		}
		if err := b.usable(); err != nil {
			return n, err
		}
		m, err := b.copy(p[n:], off)
		n, off = n+m, off+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (b *blocks) usable() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	return b.ctx.Err()
}

// copy copies what one block has from off on.
func (b *blocks) copy(p []byte, off int64) (int, error) {
	number := off / blockSize
	held := b.take(number)
	defer b.release(held)
	select {
	case <-held.ready:
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
	if held.err != nil {
		return 0, held.err
	}
	rest := held.data[off-number*blockSize:]
	n := copy(p, rest)
	if n == len(rest) {
		b.pass(held)
	}
	return n, nil
}

// pass notes that a reader has gone over the end of a block.
func (b *blocks) pass(held *block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held.passed = true
}

// take returns a block, asked for if it was not, and asks for those behind it
// when the reader seems to go on in order. The block stays until released.
func (b *blocks) take(number int64) *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.held[number]
	for held == nil {
		if held = b.add(number); held == nil {
			b.free.Wait()
			held = b.held[number]
		}
	}
	held.readers++
	if held.unread {
		held.unread = false
		b.ahead--
	}
	b.recent.MoveToFront(held.where)
	if _, inOrder := b.held[number-1]; inOrder {
		for next := number + 1; next <= number+readAhead && next*blockSize < b.size && b.ahead < maxAhead; next++ {
			if b.held[next] != nil {
				continue
			}
			a := b.add(next)
			if a == nil {
				break
			}
			a.unread = true
			b.ahead++
		}
	}
	return held
}

func (b *blocks) release(held *block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held.readers--
	b.free.Broadcast()
}

// add asks for a block. It returns nil when no buffer is free.
func (b *blocks) add(number int64) *block {
	buf := b.buffer()
	if buf == nil {
		return nil
	}
	held := &block{number: number, buf: buf, ready: make(chan struct{})}
	held.where = b.recent.PushFront(held)
	b.held[number] = held
	b.fills.Add(1)
	go b.fill(held)
	return held
}

// fewBlocks is how many blocks one reader in order needs: the one that it left,
// by which its order shows, the one that it reads, and those ahead.
const fewBlocks = 2 + readAhead

// buffer returns a buffer: that of a block which a reader has left behind, a
// new one, or that of the block whose last use is longest ago.
func (b *blocks) buffer() []byte {
	if len(b.held) >= fewBlocks {
		if buf := b.reuse(func(old *block) bool { return old.passed }); buf != nil {
			return buf
		}
	}
	if len(b.held) < maxBlocks {
		return make([]byte, blockSize)
	}
	return b.reuse(func(*block) bool { return true })
}

// reuse takes the buffer of the block that fits and was used longest ago, or nil.
func (b *blocks) reuse(fits func(*block) bool) []byte {
	for e := b.recent.Back(); e != nil; e = e.Prev() {
		if old := e.Value.(*block); old.readers == 0 && old.filled && fits(old) {
			b.drop(old)
			return old.buf
		}
	}
	return nil
}

// drop forgets a block.
func (b *blocks) drop(old *block) {
	if b.held[old.number] != old {
		return
	}
	b.recent.Remove(old.where)
	delete(b.held, old.number)
	if old.unread {
		b.ahead--
	}
}

// fill reads a block. One that failed is forgotten, so that the next reader
// tries again.
func (b *blocks) fill(held *block) {
	defer b.fills.Done()
	at := held.number * blockSize
	data := held.buf[:min(blockSize, b.size-at)]
	n, err := b.from.ReadAt(data, at)
	if n == len(data) {
		err = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	held.data, held.err, held.filled = data, err, true
	if err != nil {
		b.drop(held)
	}
	if errors.Is(err, ErrChanged) {
		b.broken = err
	}
	close(held.ready)
	b.free.Broadcast()
}

// wait returns when no request is under way.
func (b *blocks) wait() { b.fills.Wait() }
