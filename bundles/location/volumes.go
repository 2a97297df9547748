package location

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/internal/problem"
)

// MaxVolumes is how many volumes a bundle may have: their names have three
// digits, so that `cat FILE.*` takes them in order.
const MaxVolumes = 999

// VolumeName returns the name of the volume with a number, from 1 on.
func VolumeName(name string, number int) string { return fmt.Sprintf("%s.%03d", name, number) }

// volumeNumber divides the name of a volume. ok is false for other names.
func volumeNumber(name string) (base string, number int, ok bool) {
	dot := len(name) - 4
	if dot < 1 || name[dot] != '.' || strings.Trim(name[dot+1:], "0123456789") != "" {
		return "", 0, false
	}
	number, err := strconv.Atoi(name[dot+1:])
	return name[:dot], number, err == nil && number > 0
}

// SameName tells whether two names on this host are those of one bundle, whole or
// in volumes.
func SameName(a, b string) bool {
	if IsRemote(a) || IsRemote(b) {
		return a == b
	}
	return wholeName(a) == wholeName(b)
}

func wholeName(name string) string {
	if base, _, ok := volumeNumber(name); ok {
		name = base
	}
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return filepath.Clean(name)
}

// object is one file, or one object of a store.
type object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// openFunc opens an object. It fails with ErrNotFound.
type openFunc func(ctx context.Context, name string) (object, error)

// volumes joins objects to one. A file that is not divided is one object
// without a number.
type volumes struct {
	names []string // as messages have them
	parts []object
	part  int64 // size of each but the last
	size  int64
	whole bool // not divided
}

// newVolumes joins parts, which must be of one size but the last.
func newVolumes(names []string, parts []object) (*volumes, error) {
	v := &volumes{names: names, parts: parts}
	for _, p := range parts {
		v.size += p.Size()
	}
	v.part = commonSize(parts)
	last := len(parts) - 1
	for i, p := range parts {
		switch n := p.Size(); {
		case i < last && n != v.part:
			return nil, wrongVolume("%s has %d bytes, the others have %d", names[i], n, v.part)
		case i == last && last > 0 && n > v.part:
			return nil, wrongVolume("%s has %d bytes, more than the %d of those before it", names[i], n, v.part)
		case i == last && last > 0 && n == 0:
			return nil, wrongVolume("%s is empty", names[i])
		}
	}
	return v, nil
}

func wrongVolume(format string, args ...any) error {
	return problem.New(problem.Verification, "copy that volume again from where it was made",
		"%w: %s", ErrVolumes, fmt.Sprintf(format, args...))
}

// commonSize returns the size that most parts but the last have; of two that
// are as frequent, the larger.
func commonSize(parts []object) int64 {
	if len(parts) == 1 {
		return parts[0].Size()
	}
	count := map[int64]int{}
	var best int64
	for _, p := range parts[:len(parts)-1] {
		n := p.Size()
		count[n]++
		if c := count[n]; c > count[best] || (c == count[best] && n > best) {
			best = n
		}
	}
	return best
}

// Size implements Source.
func (v *volumes) Size() int64 { return v.size }

// Count returns how many volumes there are; 0 when it is one file.
func (v *volumes) Count() int {
	if v.whole {
		return 0
	}
	return len(v.parts)
}

// Close implements Source.
func (v *volumes) Close() error {
	var err error
	for _, p := range v.parts {
		err = errors.Join(err, p.Close())
	}
	return err
}

// ReadAt implements io.ReaderAt.
func (v *volumes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d", off)
	}
	n := 0
	for n < len(p) {
		if off >= v.size {
			return n, io.EOF
		}
		i, at := v.find(off)
		chunk := p[n:min(len(p), n+int(min(v.parts[i].Size()-at, int64(len(p)))))]
		m, err := v.parts[i].ReadAt(chunk, at)
		n, off = n+m, off+int64(m)
		if m == len(chunk) {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %s became shorter than its %d bytes", ErrChanged, v.names[i], v.parts[i].Size())
		} else if !v.whole {
			err = fmt.Errorf("%s at byte %d: %w", v.names[i], at+int64(m), err)
		}
		return n, err
	}
	return n, nil
}

// File returns the file that has n bytes from off, and where in it; nil when they
// go over the end of a volume, or are nowhere on this host.
func (v *volumes) File(off, n int64) (f *os.File, at int64) {
	i, at := v.find(off)
	if i >= len(v.parts) || at+n > v.parts[i].Size() {
		return nil, 0
	}
	if local, ok := v.parts[i].(file); ok {
		return local.File, at
	}
	return nil, 0
}

// find returns the part that has the byte at off, which is below the size,
// and where in it.
func (v *volumes) find(off int64) (part int, at int64) {
	part = int(off / max(v.part, 1))
	return part, off - int64(part)*v.part
}

// Place implements Source.
func (v *volumes) Place(offset, n int64) string {
	if v.whole || v.size == 0 {
		return ""
	}
	first, at := v.find(min(max(offset, 0), v.size-1))
	last, to := v.find(min(max(offset+n-1, offset, 0), v.size-1))
	if first == last {
		return fmt.Sprintf("%s, bytes %d to %d", v.names[first], at, to)
	}
	return fmt.Sprintf("%s from byte %d on, to %s byte %d", v.names[first], at, v.names[last], to)
}

// Missing implements Source.
func (v *volumes) Missing(size int64) string {
	if v.whole || size == v.size {
		return ""
	}
	last := len(v.parts) - 1
	base, _, _ := volumeNumber(v.names[last])
	have := v.parts[last].Size()
	if size < v.size {
		need := int((size + v.part - 1) / v.part)
		if need <= last {
			return fmt.Sprintf("%s does not belong to it: it has %d volumes", v.names[need], need)
		}
		return fmt.Sprintf("%s is %d bytes too long", v.names[last], v.size-size)
	}
	if last == 0 {
		return fmt.Sprintf("%s is missing, or %s is cut off", VolumeName(base, 2), v.names[0])
	}
	need := int((size + v.part - 1) / v.part)
	if need == last+1 || have < v.part {
		return fmt.Sprintf("%s is cut off: it has %d bytes of %d", v.names[last], have, min(v.part, size-int64(last)*v.part))
	}
	if need == last+2 {
		return VolumeName(base, need) + " is missing"
	}
	return fmt.Sprintf("%s to %s are missing", VolumeName(base, last+2), VolumeName(base, need))
}

// localParts returns the numbers of the volumes of a name, in order.
func localParts(name string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		if base, n, ok := volumeNumber(e.Name()); ok && base == filepath.Base(name) {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found, nil
}

// Volumes returns the names of the local volumes of a name, in order.
func Volumes(name string) ([]string, error) {
	numbers, err := localParts(name)
	var out []string
	for _, n := range numbers {
		out = append(out, VolumeName(name, n))
	}
	return out, err
}

// openLocal opens a file, or volumes by their common name or that of any.
func openLocal(name string) (Source, error) {
	f, err := openFile(name)
	if err == nil {
		base, _, ok := volumeNumber(name)
		if parts, _ := localParts(base); !ok || !slices.Contains(parts, 1) {
			return &volumes{names: []string{name}, parts: []object{f}, part: f.size, size: f.size, whole: true}, nil
		}
		return closeOnError(f, func() (Source, error) { return openVolumes(base) })
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if parts, partsErr := localParts(name); partsErr != nil || len(parts) > 0 {
		if partsErr != nil {
			return nil, partsErr
		}
		return openVolumes(name)
	}
	if base, _, ok := volumeNumber(name); ok {
		if parts, _ := localParts(base); len(parts) > 0 {
			return openVolumes(base)
		}
	}
	return nil, problem.New(problem.Usage, "", "%w: %w", ErrNotFound, err)
}

func closeOnError(c io.Closer, open func() (Source, error)) (Source, error) {
	if err := c.Close(); err != nil {
		return nil, err
	}
	return open()
}

// openVolumes opens FILE.001, FILE.002 and so on.
func openVolumes(base string) (Source, error) {
	numbers, err := localParts(base)
	if err != nil {
		return nil, err
	}
	if err := gaps(base, numbers); err != nil {
		return nil, err
	}
	var names []string
	var parts []object
	for _, n := range numbers {
		f, err := openFile(VolumeName(base, n))
		if err != nil {
			return nil, errors.Join(err, closeAll(parts))
		}
		names, parts = append(names, VolumeName(base, n)), append(parts, f)
	}
	v, err := newVolumes(names, parts)
	if err != nil {
		return nil, errors.Join(err, closeAll(parts))
	}
	return v, nil
}

// gaps names the volumes that lie between others and are not there.
func gaps(base string, numbers []int) error {
	var missing []string
	next := 1
	for _, n := range numbers {
		for ; next < n; next++ {
			missing = append(missing, VolumeName(base, next))
		}
		next = n + 1
	}
	if len(missing) == 0 {
		return nil
	}
	const limit = 5 // of those named
	more := ""
	if len(missing) > limit {
		missing, more = missing[:limit], fmt.Sprintf(" and %d more", len(missing)-limit)
	}
	return problem.New(problem.Verification, "bring all volumes into one folder", "%w: missing: %s%s", ErrVolumes, strings.Join(missing, ", "), more)
}

func closeAll(parts []object) error { return (&volumes{parts: parts}).Close() }

// file is a local file of a size that must not change.
type file struct {
	*os.File
	size int64
}

// Size implements object.
func (f file) Size() int64 { return f.size }

func openFile(name string) (file, error) {
	// Looked at before it is opened: opening a pipe waits for its other end.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = problem.New(problem.Usage, "name a file, such as a bundle or its first volume", "%s is not a regular file", name)
	}
	if err != nil {
		return file{}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return file{}, err
	}
	if info, err = f.Stat(); err != nil {
		return file{}, errors.Join(err, f.Close())
	}
	return file{File: f, size: info.Size()}, nil
}

// probes is how many volumes of a remote name are looked for at once.
const probes = 8

// openObjects opens an object, or the volumes of its name. How many there are
// shows when one is not found.
func openObjects(ctx context.Context, name string, open openFunc) (*volumes, error) {
	whole, err := open(ctx, name)
	base, number, ok := volumeNumber(name)
	if err == nil && (!ok || number != 1) {
		return &volumes{names: []string{Redact(name)}, parts: []object{whole}, part: whole.Size(), size: whole.Size(), whole: true}, nil
	}
	var parts []object
	switch {
	case err == nil:
		parts = append(parts, whole)
	case errors.Is(err, ErrNotFound) && !ok:
		base = name
	default:
		return nil, err
	}
	notFound := err
	for more := true; more && len(parts) < MaxVolumes; {
		var next []object
		if next, more, err = openSome(ctx, base, len(parts)+1, open); err != nil {
			return nil, errors.Join(err, closeAll(parts))
		}
		parts = append(parts, next...)
	}
	if len(parts) == 0 {
		return nil, notFound
	}
	names := make([]string, len(parts))
	for i := range parts {
		names[i] = VolumeName(Redact(base), i+1)
	}
	v, err := newVolumes(names, parts)
	if err != nil {
		return nil, errors.Join(err, closeAll(parts))
	}
	return v, nil
}

// openSome opens the next volumes up to the first that is not there; more is
// whether there may be others behind.
func openSome(ctx context.Context, base string, first int, open openFunc) (found []object, more bool, err error) {
	parts := make([]object, probes)
	g, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		g.Go(func() error {
			p, err := open(ctx, VolumeName(base, first+i))
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			parts[i] = p
			return err
		})
	}
	err = g.Wait()
	end := slices.Index(parts, nil)
	if end < 0 {
		end = len(parts)
	}
	for i, p := range parts[end:] {
		if p != nil && err == nil {
			err = wrongVolume("%s is missing, but %s is there", VolumeName(Redact(base), first+end), VolumeName(Redact(base), first+end+i))
		}
	}
	if err != nil {
		for _, p := range parts {
			if p != nil {
				err = errors.Join(err, p.Close())
			}
		}
		return nil, false, err
	}
	return parts[:end], end == len(parts), nil
}
