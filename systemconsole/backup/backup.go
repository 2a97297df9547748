// Package backup writes everything that the console keeps into one file, puts
// it into a folder or a bucket, and brings it back.
//
// A backup is gzip'd lines of JSON: one line of the header, one line an object,
// one line of the end with the number of objects and the SHA-256 of all lines
// before. All of it is encrypted in the format of age, for the console's master
// key: without that key nobody reads a backup, and nobody makes one that is
// restored. The master key is not in it and has to be kept apart. A file that
// was cut short or altered is refused before anything is restored.
package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// ErrDamaged means: the backup is not what was written.
var ErrDamaged = errors.New("the backup is damaged")

// format is the version of what is written.
const format = "sealift-console-backup/2"

// line is one line: exactly one field is set.
type line struct {
	Header *header       `json:"header,omitempty"`
	Object *store.Object `json:"object,omitempty"`
	End    *end          `json:"end,omitempty"`
}

type header struct {
	Format string    `json:"format"`
	When   time.Time `json:"when"`
}

type end struct {
	Objects int    `json:"objects"`
	SHA256  string `json:"sha256"`
}

// Write writes all objects of the kinds, encrypted for the keeper's master key,
// and returns their number.
func Write(ctx context.Context, s store.Reader, kinds []store.Kind, keeper seal.Keeper, w io.Writer) (objects int, err error) {
	encrypted, err := encrypt(ctx, keeper, w)
	if err != nil {
		return 0, err
	}
	zip := gzip.NewWriter(encrypted)
	sum := sha256.New()
	out := json.NewEncoder(io.MultiWriter(zip, sum))
	if err := out.Encode(line{Header: &header{format, time.Now().UTC()}}); err != nil {
		return 0, fmt.Errorf("writing the backup: %w", err)
	}
	for _, kind := range kinds {
		n, err := writeKind(ctx, s, kind.Name, out)
		if err != nil {
			return 0, fmt.Errorf("backing up %s: %w", kind.Name, err)
		}
		objects += n
	}
	if err := json.NewEncoder(zip).Encode(line{End: &end{objects, hex.EncodeToString(sum.Sum(nil))}}); err != nil {
		return 0, fmt.Errorf("writing the backup: %w", err)
	}
	if err := errors.Join(zip.Close(), encrypted.Close()); err != nil {
		return 0, fmt.Errorf("writing the backup: %w", err)
	}
	return objects, nil
}

func writeKind(ctx context.Context, s store.Reader, kind string, out *json.Encoder) (objects int, err error) {
	opts := store.ListOptions{}
	for {
		page, err := s.List(ctx, kind, opts)
		if err != nil {
			return 0, err
		}
		for _, o := range page.Objects {
			o.Version = ""
			if err := out.Encode(line{Object: &o}); err != nil {
				return 0, err
			}
			objects++
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			return objects, nil
		}
	}
}

// maxLine is the most bytes of one object.
const maxLine = 4 << 20

// Check reads a backup whole and returns the number of its objects, or
// ErrDamaged.
func Check(ctx context.Context, keeper seal.Keeper, r io.Reader) (objects int, err error) {
	return scan(ctx, keeper, r, func(store.Object) error { return nil })
}

// Restore brings a backup into a store that has none of its objects. The file
// is read twice: nothing is written before all of it has been checked.
func Restore(ctx context.Context, r io.ReadSeeker, keeper seal.Keeper, s store.Writer) (objects int, err error) {
	if _, err := Check(ctx, keeper, r); err != nil {
		return 0, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading the backup again: %w", err)
	}
	return scan(ctx, keeper, r, func(o store.Object) error {
		_, err := s.Create(ctx, o)
		if errors.Is(err, store.ErrExists) {
			return problem.WithRemedy(err, "restore into an empty console, before its first start")
		}
		return err
	})
}

func scan(ctx context.Context, keeper seal.Keeper, r io.Reader, do func(store.Object) error) (objects int, err error) {
	plain, err := decrypt(ctx, keeper, r)
	if err != nil {
		return 0, err
	}
	zip, err := gzip.NewReader(plain)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, maxLine)
	sum := sha256.New()
	for number := 0; lines.Scan(); number++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return objects, fmt.Errorf("%w: line %d: %w", ErrDamaged, number+1, err)
		}
		switch {
		case number == 0 && (l.Header == nil || l.Header.Format != format):
			return 0, fmt.Errorf("%w: it is no backup of a console", ErrDamaged)
		case l.End != nil:
			return objects, l.End.check(objects, sum)
		case l.Object != nil:
			if err := do(*l.Object); err != nil {
				return objects, fmt.Errorf("%s %s: %w", l.Object.Kind, l.Object.Name, err)
			}
			objects++
		}
		sum.Write(lines.Bytes())
		sum.Write([]byte{'\n'})
	}
	return objects, fmt.Errorf("%w: its end is missing: %w", ErrDamaged, errors.Join(lines.Err(), io.ErrUnexpectedEOF))
}

func (e end) check(objects int, sum hash.Hash) error {
	if e.Objects != objects || e.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return fmt.Errorf("%w: its checksum differs", ErrDamaged)
	}
	return nil
}
