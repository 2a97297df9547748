// Package cache keeps what the lab is built of, by content.
//
// A Step is one piece of the build. Its key is a hash of all that its result
// follows from: its inputs, and the keys of the steps that it needs. A step
// whose result is there under that key is done and is skipped; what a killed
// run left half-made is thrown away, because a result gets its name only when
// it is complete.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// Step is one piece of the build.
type Step struct {
	Name   string
	Inputs []string // versions, flags, digests of files: a change of any makes the result anew
	Needs  []*Step  // the steps whose results it reads
	// Make fills dir, which is new and empty.
	Make func(ctx context.Context, dir string) error
}

// Key returns the hash, in hex, of what the result of the step follows from.
func (s *Step) Key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n%q\n", s.Name, s.Inputs)
	for _, need := range s.Needs {
		fmt.Fprintln(h, need.Key())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Record is what is kept about a finished step.
type Record struct {
	Seconds float64 `json:"seconds"` // how long it took
	Bytes   int64   `json:"bytes"`   // size of its result
}

// Cache is a folder of results.
type Cache struct{ dir string }

// partial and record are the names of what is under way, and of a result's Record.
const (
	partial = ".partial"
	record  = ".step.json"
)

// New returns the cache in a folder, which need not exist.
func New(dir string) *Cache { return &Cache{dir} }

// Path returns the folder of a step's result, whether it is there or not.
func (c *Cache) Path(s *Step) string {
	return filepath.Join(c.dir, s.Name+"-"+s.Key()[:16])
}

// Done returns the record of a step that is done, and false for any other. A
// result of which something was taken away is none.
func (c *Cache) Done(s *Step) (Record, bool) {
	var r Record
	data, err := os.ReadFile(filepath.Join(c.Path(s), record))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return Record{}, false
	}
	size, err := Size(c.Path(s))
	return r, err == nil && size-int64(len(data)) >= r.Bytes
}

// Make makes the result of a step whose needs are done, unless it is done
// itself. What stood under the same name with another key is removed.
func (c *Cache) Make(ctx context.Context, s *Step) (Record, error) {
	if r, ok := c.Done(s); ok {
		return r, nil
	}
	for _, need := range s.Needs {
		if _, ok := c.Done(need); !ok {
			return Record{}, fmt.Errorf("step %s: needs %s, which is not done", s.Name, need.Name)
		}
	}
	work := filepath.Join(c.dir, s.Name+partial)
	if err := fresh(work); err != nil {
		return Record{}, fmt.Errorf("step %s: %w", s.Name, err)
	}
	start := time.Now()
	if err := s.Make(ctx, work); err != nil {
		return Record{}, fmt.Errorf("step %s: %w", s.Name, err)
	}
	r, err := c.finish(s, work, time.Since(start))
	if err != nil {
		return Record{}, fmt.Errorf("step %s: keeping its result: %w", s.Name, err)
	}
	return r, nil
}

// fresh makes an empty folder.
func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return problem.WithRemedy(fmt.Errorf("removing what an interrupted run left: %w", err),
			"remove "+dir+" as the user who made it, then run this again")
	}
	return os.MkdirAll(dir, 0o755)
}

// finish gives a complete result its name and removes those it replaces.
func (c *Cache) finish(s *Step, work string, took time.Duration) (Record, error) {
	size, err := Size(work)
	if err != nil {
		return Record{}, err
	}
	r := Record{Seconds: took.Round(100 * time.Millisecond).Seconds(), Bytes: size}
	data, err := json.Marshal(r)
	if err != nil {
		return Record{}, err
	}
	if err := durable.WriteFile(filepath.Join(work, record), data, 0o644); err != nil {
		return Record{}, err
	}
	if err := errors.Join(c.removeOthers(s), syncAll(work)); err != nil {
		return Record{}, err
	}
	return r, durable.Rename(work, c.Path(s))
}

// removeOthers removes every result of the step.
func (c *Cache) removeOthers(s *Step) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if key, ok := strings.CutPrefix(e.Name(), s.Name+"-"); ok && isKey(key) {
			if err := os.RemoveAll(filepath.Join(c.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// isKey tells a shortened key from the rest of a longer name of a step.
func isKey(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 16
}

// Size returns the bytes of all files below a folder. Those that vanish
// meanwhile, as a registry's that is in use may, count for nothing.
func Size(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path != dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		size += info.Size()
		return nil
	})
	return size, err
}

// Digest returns a hash, in hex, of the names and content of the files
// at and below paths. Go's tests count for nothing.
func Digest(paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
				return err
			}
			return digestFile(h, path, file)
		})
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func digestFile(w io.Writer, base, file string) error {
	name, err := filepath.Rel(base, file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	executable := info.Mode()&0o111 != 0 // the rest of the mode is the umask's
	_, err = fmt.Fprintf(w, "%q %v %x\n", name, executable, sha256.Sum256(data))
	return err
}
