package location

import "io"

// Bytes makes a source of size bytes of r, which is not closed with it.
func Bytes(r io.ReaderAt, size int64) Source { return plain{ReaderAt: r, size: size} }

type plain struct {
	io.ReaderAt
	size int64
}

// Size implements Source.
func (p plain) Size() int64 { return p.size }

// Place implements Source.
func (plain) Place(int64, int64) string { return "" }

// Missing implements Source.
func (plain) Missing(int64) string { return "" }

// Close implements Source.
func (plain) Close() error { return nil }
