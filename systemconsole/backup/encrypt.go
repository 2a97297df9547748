package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/seal"
)

// The recipient of a backup in the format of age is a key that was made for
// this backup alone and stands in its header, wrapped by the master key.
const (
	stanzaType = "sealift.dev/master-key"
	keyPlace   = "backup"          // what that key is wrapped for
	filePlace  = "backup file key" // what age's own key is sealed for
)

// masterKey is a keeper as age knows recipients and identities.
type masterKey struct {
	ctx    context.Context //nolint:containedctx // age's interfaces have none
	keeper seal.Keeper
}

// Wrap implements age.Recipient.
func (m masterKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	secret := seal.NewSecret()
	wrapped, err := m.keeper.Wrap(m.ctx, secret, keyPlace)
	if err != nil {
		return nil, err
	}
	key, err := seal.NewKey(secret)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: stanzaType, Body: []byte(wrapped + "\n" + key.Seal(fileKey, filePlace))}}, nil
}

// Unwrap implements age.Identity.
func (m masterKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		wrapped, sealed, ok := strings.Cut(string(s.Body), "\n")
		if s.Type != stanzaType || !ok {
			continue
		}
		secret, err := m.keeper.Unwrap(m.ctx, wrapped, keyPlace)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errOtherKey, err)
		}
		key, err := seal.NewKey(secret)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errOtherKey, err)
		}
		return key.Open(sealed, filePlace)
	}
	return nil, age.ErrIncorrectIdentity
}

// errOtherKey means: the backup was made with another master key, or altered.
var errOtherKey = errors.New("the master key does not open it")

// encrypt writes to w what only the master key opens. It has to be closed.
func encrypt(ctx context.Context, keeper seal.Keeper, w io.Writer) (io.WriteCloser, error) {
	out, err := age.Encrypt(w, masterKey{ctx, keeper})
	if err != nil {
		return nil, fmt.Errorf("encrypting the backup: %w", err)
	}
	return out, nil
}

// decrypt opens what encrypt wrote.
func decrypt(ctx context.Context, keeper seal.Keeper, r io.Reader) (io.Reader, error) {
	in, err := age.Decrypt(r, masterKey{ctx, keeper})
	if errors.Is(err, errOtherKey) {
		return nil, problem.WithRemedy(fmt.Errorf("%w: %w", ErrDamaged, err), "give the console the master key of the console that wrote the backup")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return in, nil
}
