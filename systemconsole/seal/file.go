package seal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// file is the keeper of the master keys in a file, one a line: the first wraps.
// Those before it stay for what they wrapped, such as backups.
type file struct {
	path string
	mu   sync.RWMutex
	keys [][]byte
	Keeper
}

var _ Rotator = (*file)(nil)

// File returns the keeper of the master key in a file, which it makes when
// there is none. Without that file nothing of a backup can be read.
func File(path string) (Keeper, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made := Encode([][]byte{NewSecret()})
		if err := durable.WriteNew(path, []byte(made), 0o600); err != nil && !errors.Is(err, durable.ErrExists) {
			return nil, fmt.Errorf("making the master key: %w", err)
		}
		text, err = os.ReadFile(path) // another process may have been faster
	}
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	f := &file{path: path}
	if f.keys, err = Decode(string(text)); err == nil {
		f.Keeper, err = Local(f.keys[0], f.keys[1:]...)
	}
	if err != nil {
		return nil, problem.New(problem.Failed, "restore it from a backup", "reading the master key: %s holds none", path)
	}
	return f, nil
}

// Encode writes master keys as text, one a line.
func Encode(keys [][]byte) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	}
	return b.String()
}

// Decode reads what Encode wrote. It fails when there is no key.
func Decode(text string) ([][]byte, error) {
	var keys [][]byte
	for _, line := range strings.Fields(text) {
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != KeySize {
			return nil, errors.New("a line is no master key")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no master key")
	}
	return keys, nil
}

func (f *file) Wrap(ctx context.Context, secret []byte, owner string) (string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.Keeper.Wrap(ctx, secret, owner)
}

func (f *file) Unwrap(ctx context.Context, wrapped, owner string) ([]byte, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.Keeper.Unwrap(ctx, wrapped, owner)
}

// Rotate puts a new master key first. It is on the disk before it wraps.
func (f *file) Rotate(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := append([][]byte{NewSecret()}, f.keys...)
	if err := durable.WriteFile(f.path, []byte(Encode(keys)), 0o600); err != nil {
		return fmt.Errorf("keeping the new master key: %w", err)
	}
	keeper, err := Local(keys[0], keys[1:]...)
	if err != nil {
		return err
	}
	f.keys, f.Keeper = keys, keeper
	return nil
}
