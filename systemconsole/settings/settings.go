// Package settings is what administrators set for the whole console: the banner
// and the log, passwords and sessions, mail, the proxy, backups. It is one object
// in the store, so that every replica of the console has the same.
//
// Each part has a Set function, which checks what was entered before it keeps
// it. Secrets are kept wrapped by the master key. They are entered in the field
// of the part that keeps them, and an empty one means: the one that is there.
// A secret belongs to its server: with another address it has to be entered
// anew, so that who may change the settings cannot send it anywhere.
package settings

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/recent"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// Kind is the kind of the object; there is one, of the name Name.
const (
	Kind = "Settings"
	Name = "console"
)

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: Kind, Value: Settings{}}} }

// Settings are all of them. The zero value is the default.
type Settings struct {
	Banner   string      `json:"banner,omitempty"`
	LogLevel string      `json:"logLevel,omitempty"` // debug, info, warn or error; empty means info
	Policy   auth.Policy `json:"policy,omitzero"`
	Mail     Mail        `json:"mail,omitzero"`
	Proxy    Proxy       `json:"proxy,omitzero"`
	Backup   Backup      `json:"backup,omitzero"`
}

// secretSet stands for a secret in the record of changes.
const secretSet = "set"

// secret is one that the settings hold, wrapped for a place.
type secret struct {
	wrapped *string
	place   string
}

// secrets are all of them.
func (s *Settings) secrets() []secret {
	return []secret{{&s.Mail.Password, mailPlace}, {&s.Proxy.Password, proxyPlace}, {&s.Backup.S3.SecretKey, s3Place}}
}

// Audit is what the record of changes shows: everything but the secrets.
func (s Settings) Audit() any {
	for _, one := range s.secrets() {
		if *one.wrapped != "" {
			*one.wrapped = secretSet
		}
	}
	return s
}

// Service is the settings in a store.
type Service struct {
	objects store.Collection[Settings]
	log     *audit.Log
	keeper  seal.Keeper
	current *recent.Value[Settings]
	proxy   *recent.Value[proxyOf]
}

// proxyOf chooses the proxy of an address; nil means that there is none.
type proxyOf = func(*url.URL) (*url.URL, error)

// New returns the settings in a store.
func New(s store.Store, log *audit.Log, keeper seal.Keeper) *Service {
	out := &Service{objects: store.Collection[Settings]{Store: s, Kind: Kind}, log: log, keeper: keeper}
	out.current = recent.New(out.read, recent.Options{Fresh: oldest / 2, Bound: oldest, Limit: storeTime})
	out.proxy = recent.New(out.findProxy, recent.Options{})
	return out
}

const (
	// oldest is how old settings may be that every page asks for.
	oldest = 2 * time.Second
	// storeTime is how long a page waits for a store that does not answer.
	storeTime = 10 * time.Second
)

// Get returns the settings as they were two seconds ago at the latest; what
// this process changed it knows at once. An error comes with the last that
// were known.
func (s *Service) Get(ctx context.Context) (Settings, error) { return s.current.Get(ctx) }

func (s *Service) read(ctx context.Context) (Settings, error) {
	item, err := s.objects.Get(ctx, Name)
	if errors.Is(err, store.ErrNotFound) {
		return Settings{}, nil
	}
	return item.Value, err
}

// change changes the settings to what was checked.
func (s *Service) change(ctx context.Context, action string, change func(*Settings) error) error {
	_, err := s.objects.Create(ctx, store.Item[Settings]{Name: Name})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("keeping the settings: %w", err)
	}
	if _, err = audit.Modify(ctx, s.log, s.objects, Name, action, change); err != nil {
		return err
	}
	s.Forget()
	return nil
}

// Forget makes the next Get read the store.
func (s *Service) Forget() {
	s.current.Forget()
	s.proxy.Forget() // which is made of them
}

// sealed returns a secret as it is kept: wrapped when a new one was entered, as
// it was when it still belongs to the same place, else none.
func (s *Service) sealed(ctx context.Context, entered, kept, place string, same bool) (string, error) {
	switch {
	case entered != "":
		wrapped, err := s.keeper.Wrap(ctx, []byte(entered), place)
		if err != nil {
			return "", fmt.Errorf("sealing a secret of the settings: %w", err)
		}
		return wrapped, nil
	case same:
		return kept, nil
	default:
		return "", nil
	}
}

// opened returns what was sealed for a place.
func (s *Service) opened(ctx context.Context, wrapped, place string) (string, error) {
	if wrapped == "" {
		return "", nil
	}
	secret, err := s.keeper.Unwrap(ctx, wrapped, place)
	if err != nil {
		return "", fmt.Errorf("opening a secret of the settings: %w", err)
	}
	return string(secret), nil
}
