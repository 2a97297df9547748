package seal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/sealift/sealift/internal/problem"
)

// Rotator is a Keeper that can make another master key. What the ones before
// wrapped still opens: Rewrap brings it under the new one.
type Rotator interface {
	Rotate(ctx context.Context) error
}

// Rewrap wraps what a keeper had wrapped before with the master key of now.
// Nothing stays nothing.
func Rewrap(ctx context.Context, k Keeper, wrapped, owner string) (string, error) {
	if wrapped == "" {
		return "", nil
	}
	secret, err := k.Unwrap(ctx, wrapped, owner)
	if err != nil {
		return "", err
	}
	return k.Wrap(ctx, secret, owner)
}

// local is a keeper that has master keys in memory: the first wraps, each
// unwraps what it wrapped.
type local struct{ keys []*Key }

// Local returns the keeper of a master key of KeySize bytes, which also opens
// what the ones before it wrapped.
func Local(master []byte, before ...[]byte) (Keeper, error) {
	var l local
	for _, secret := range append([][]byte{master}, before...) {
		key, err := NewKey(secret)
		if err != nil {
			return nil, err
		}
		l.keys = append(l.keys, key)
	}
	return l, nil
}

func (l local) Wrap(_ context.Context, secret []byte, owner string) (string, error) {
	return l.keys[0].Seal(secret, "data key", owner), nil
}

func (l local) Unwrap(_ context.Context, wrapped, owner string) ([]byte, error) {
	var err error
	for _, key := range l.keys {
		var secret []byte
		if secret, err = key.Open(wrapped, "data key", owner); err == nil {
			return secret, nil
		}
	}
	return nil, problem.WithRemedy(fmt.Errorf("unwrapping the data key of %s: %w", owner, err), "give the console the master key that the data was made with")
}

// after is a keeper that took another one's place.
type after struct {
	Keeper
	before Keeper
}

// After returns the keeper that wraps with k and opens what k or the one before
// it wrapped: once everything is wrapped anew, the one before can go.
func After(k, before Keeper) Keeper { return after{k, before} }

func (a after) Unwrap(ctx context.Context, wrapped, owner string) ([]byte, error) {
	secret, err := a.Keeper.Unwrap(ctx, wrapped, owner)
	if !errors.Is(err, ErrSealed) {
		return secret, err
	}
	if secret, beforeErr := a.before.Unwrap(ctx, wrapped, owner); beforeErr == nil {
		return secret, nil
	}
	return nil, err
}

// Rotate makes another key where the one that wraps can.
func (a after) Rotate(ctx context.Context) error {
	if rotator, ok := a.Keeper.(Rotator); ok {
		return rotator.Rotate(ctx)
	}
	return nil // everything is wrapped anew with the key as it is
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

// Rotate asks the service for another version of its key.
func (r remote) Rotate(ctx context.Context) error {
	rotator, ok := r.service.(Rotator)
	if !ok {
		return problem.New(problem.Usage, "rotate it where the service is administered", "this key management service rotates its keys itself")
	}
	return rotator.Rotate(ctx)
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
