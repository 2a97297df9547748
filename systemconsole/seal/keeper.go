package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// local is a keeper that has the master key in memory.
type local struct{ key *Key }

// Local returns the keeper of a master key of KeySize bytes.
func Local(master []byte) (Keeper, error) {
	key, err := NewKey(master)
	return local{key}, err
}

func (l local) Wrap(_ context.Context, secret []byte, owner string) (string, error) {
	return l.key.Seal(secret, "data key", owner), nil
}

func (l local) Unwrap(_ context.Context, wrapped, owner string) ([]byte, error) {
	secret, err := l.key.Open(wrapped, "data key", owner)
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("unwrapping the data key of %s: %w", owner, err), "give the console the master key that the data was made with")
	}
	return secret, nil
}

// File returns the keeper of the master key in a file, which it makes when
// there is none. Without that file nothing of a backup can be read.
func File(path string) (Keeper, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made := []byte(base64.StdEncoding.EncodeToString(NewSecret()) + "\n")
		if err := durable.WriteNew(path, made, 0o600); err != nil && !errors.Is(err, durable.ErrExists) {
			return nil, fmt.Errorf("making the master key: %w", err)
		}
		text, err = os.ReadFile(path) // another process may have been faster
	}
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	master, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, problem.New(problem.Failed, "restore it from a backup", "reading the master key: %s holds none", path)
	}
	return Local(master)
}

// Service is a key management service, as the clients of many are: its master
// key never leaves it.
type Service interface {
	Encrypt(ctx context.Context, plain []byte) ([]byte, error)
	Decrypt(ctx context.Context, sealed []byte) ([]byte, error)
}

// remote is a keeper whose master key is elsewhere.
type remote struct{ service Service }

// Remote returns the keeper of a service's master key. The owner of a data key
// is sealed with it, since not every service knows associated data.
func Remote(s Service) Keeper { return remote{s} }

func (r remote) Wrap(ctx context.Context, secret []byte, owner string) (string, error) {
	sum := sha256.Sum256([]byte(owner))
	sealed, err := r.service.Encrypt(ctx, append(sum[:], secret...))
	if err != nil {
		return "", fmt.Errorf("wrapping the data key of %s: %w", owner, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

func (r remote) Unwrap(ctx context.Context, wrapped, owner string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key of %s: %w", owner, ErrSealed)
	}
	plain, err := r.service.Decrypt(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key of %s: %w", owner, err)
	}
	sum := sha256.Sum256([]byte(owner))
	if len(plain) < len(sum) || subtle.ConstantTimeCompare(plain[:len(sum)], sum[:]) != 1 {
		return nil, fmt.Errorf("unwrapping the data key of %s: %w", owner, ErrSealed)
	}
	return plain[len(sum):], nil
}
