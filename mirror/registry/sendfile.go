package registry

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// filed is content of which parts lie in one piece in a file.
type filed interface {
	// File returns the file that has n bytes from off, and where in it; nil when
	// no single file has them.
	File(off, n int64) (f *os.File, at int64)
}

// conn is a connection without TLS. What a request's body has in a file the
// system sends from its cache, and no byte of it passes through the process.
type conn struct{ *net.TCPConn }

// dial connects with a dialer, for an http.Transport.
func dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			return conn{tcp}, err
		}
		return c, err
	}
}

// ReadFrom implements io.ReaderFrom. What the system cannot send, and what goes
// wrong with the file, is left to reading and writing, which knows the words.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	sent, err := c.sendfile(r)
	if err != nil {
		return sent, err
	}
	n, err := c.TCPConn.ReadFrom(r)
	return sent + n, err
}

// sendfilePiece is how much is sent between two signs of life.
const sendfilePiece = 1 << 20

// sendfile sends what r, the rest of a body as net/http has it, has in a file.
func (c conn) sendfile(r io.Reader) (sent int64, err error) {
	rest, ok := r.(*io.LimitedReader)
	if !ok {
		return 0, nil
	}
	body, ok := rest.R.(*watched)
	if !ok {
		return 0, nil
	}
	from, at := body.file()
	if from == nil {
		return 0, nil
	}
	in, err := from.SyscallConn()
	if err != nil {
		return 0, err
	}
	out, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	for rest.N > 0 {
		n, err := sendfile(out, in, at, int(min(rest.N, sendfilePiece)))
		if n == 0 || err != nil {
			return sent, err
		}
		sent, at, rest.N = sent+int64(n), at+int64(n), rest.N-int64(n)
		body.skip(int64(n))
	}
	return sent, nil
}

// sendfile sends up to n bytes from at, once the connection takes any. It sends
// none where the file has no more, or cannot be sent in this way; the error is
// the connection's.
func sendfile(out, in syscall.RawConn, at int64, n int) (sent int, err error) {
	err = out.Write(func(to uintptr) bool {
		var failed error
		closed := in.Control(func(from uintptr) {
			for again := true; again; again = errors.Is(failed, unix.EINTR) {
				offset := at
				sent, failed = unix.Sendfile(int(to), int(from), &offset, n)
			}
		})
		return closed != nil || !errors.Is(failed, unix.EAGAIN)
	})
	return max(sent, 0), err
}

// skip takes n bytes for read.
func (b *watched) skip(n int64) {
	_, _ = b.r.Seek(n, io.SeekCurrent) // it fails before the beginning only
	b.read(n)
}

// file returns the file that has what is left, and where in it, or nil.
func (b *watched) file() (*os.File, int64) {
	at, _ := b.r.Seek(0, io.SeekCurrent) // it fails before the beginning only
	var src io.ReaderAt = b.r
	for {
		section, ok := src.(*io.SectionReader)
		if !ok {
			break
		}
		outer, start, _ := section.Outer()
		src, at = outer, at+start
	}
	if src, ok := src.(filed); ok {
		return src.File(at, b.left)
	}
	return nil, 0
}
