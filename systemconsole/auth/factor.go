package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// The second factor is a time-based code (TOTP, RFC 6238), as every
// authenticator has it: six digits, 30 seconds, SHA-1.
const (
	factorPeriod  = 30 // seconds
	factorSecret  = 20 // bytes
	recoveryCodes = 10
	qrSize        = 240 // pixels
)

// Factor is the second factor of an account.
type Factor struct {
	Key      string   `json:"key,omitempty"`      // wrapped by the master key; empty when there is no second factor
	Pending  string   `json:"pending,omitempty"`  // as Key, until a code proves that the authenticator has it
	Step     int64    `json:"step,omitempty"`     // of the last code that was used: none is good twice
	Recovery []string `json:"recovery,omitempty"` // hashes of codes that are good once, without the authenticator
}

// On tells whether a second factor is asked for.
func (f Factor) On() bool { return f.Key != "" }

// FactorSetup is what an authenticator is told.
type FactorSetup struct {
	Secret string // for typing in
	URL    string // otpauth://
	PNG    []byte // the URL as a picture
}

// BeginFactor makes a key for the authenticator of an account. It counts only
// after ConfirmFactor.
func (s *Service) BeginFactor(ctx context.Context, id Identity) error {
	if s.opts.Keeper == nil {
		return errors.New("second factors need a master key")
	}
	wrapped, err := s.opts.Keeper.Wrap(ctx, seal.NewSecret(), AccountOwner(id.Account))
	if err != nil {
		return err
	}
	_, err = s.accounts.Modify(ctx, id.Account, func(a *Account) error {
		a.Factor.Pending = wrapped
		return nil
	})
	return err
}

// FactorSetup returns what the authenticator is told of the key that is not
// confirmed yet, or ErrNotFound.
func (s *Service) FactorSetup(ctx context.Context, id Identity) (FactorSetup, error) {
	item, err := s.accounts.Get(ctx, id.Account)
	if err != nil {
		return FactorSetup{}, err
	}
	if item.Value.Factor.Pending == "" {
		return FactorSetup{}, fmt.Errorf("the setup of a second factor: %w", store.ErrNotFound)
	}
	secret, err := s.factorSecret(ctx, id.Account, item.Value.Factor.Pending)
	if err != nil {
		return FactorSetup{}, err
	}
	setup := FactorSetup{Secret: secret}
	query := url.Values{"secret": {secret}, "issuer": {"sealift"}}
	setup.URL = (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/sealift:" + id.Account, RawQuery: query.Encode()}).String()
	key, err := otp.NewKeyFromURL(setup.URL)
	if err != nil {
		return setup, err
	}
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return setup, err
	}
	var b bytes.Buffer
	err = png.Encode(&b, picture)
	setup.PNG = b.Bytes()
	return setup, err
}

// factorSecret unwraps a key and returns it as authenticators have it.
func (s *Service) factorSecret(ctx context.Context, account, wrapped string) (string, error) {
	secret, err := s.opts.Keeper.Unwrap(ctx, wrapped, AccountOwner(account))
	if err != nil {
		return "", err
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:factorSecret]), nil
}

// step returns the time step that a code belongs to: the one of now, before or
// after. ok is false for a wrong code.
func step(secret, code string, now time.Time) (n int64, ok bool) {
	current := now.Unix() / factorPeriod
	for _, n := range []int64{current - 1, current, current + 1} {
		want, err := hotp.GenerateCodeCustom(secret, uint64(n), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && equal(want, code) {
			return n, true
		}
	}
	return 0, false
}

// ConfirmFactor turns the second factor on and returns the recovery codes,
// which are shown once.
func (s *Service) ConfirmFactor(ctx context.Context, id Identity, password, code string) (recovery []string, err error) {
	item, err := s.confirmed(ctx, id, password)
	if err != nil {
		return nil, err
	}
	if item.Value.Factor.Pending == "" {
		return nil, form.Fail("code", "begin the setup first")
	}
	secret, err := s.factorSecret(ctx, id.Account, item.Value.Factor.Pending)
	if err != nil {
		return nil, err
	}
	n, ok := step(secret, strings.TrimSpace(code), s.now())
	if !ok {
		return nil, form.Fail("code", "this is not the code that the authenticator shows now; is its clock right?")
	}
	f := Factor{Key: item.Value.Factor.Pending, Step: n}
	for range recoveryCodes {
		text := strings.ToLower(rand.Text()[:16])
		recovery, f.Recovery = append(recovery, text), append(f.Recovery, hashed(text))
	}
	_, err = audit.Modify(ctx, s.log, s.accounts, id.Account, "account.factor.on", func(a *Account) error {
		if a.Factor.Pending != f.Key {
			return store.ErrConflict
		}
		a.Factor = f
		return nil
	})
	return recovery, err
}

// RemoveFactor turns the second factor of the own account off.
func (s *Service) RemoveFactor(ctx context.Context, id Identity, password string) error {
	if _, err := s.confirmed(ctx, id, password); err != nil {
		return err
	}
	_, err := audit.Modify(ctx, s.log, s.accounts, id.Account, "account.factor.off", func(a *Account) error {
		a.Factor = Factor{}
		return nil
	})
	return err
}

// confirmed returns the own account when the password is right.
func (s *Service) confirmed(ctx context.Context, id Identity, password string) (store.Item[Account], error) {
	item, err := s.accounts.Get(ctx, id.Account)
	if err != nil {
		return item, err
	}
	ok, err := s.Verify(ctx, item.Value.Credential, password)
	if err != nil {
		return item, err
	}
	if !ok || item.Value.Lock.Locked(s.now()) {
		return item, errors.Join(form.Fail("current", "this is not the current password"), s.failed(ctx, id.Account))
	}
	return item, nil
}

// SecondFactor takes the code that follows the password: of the authenticator,
// or a recovery code. ErrLogin is all that it says against it.
func (s *Service) SecondFactor(ctx context.Context, id Identity, code string, c Client) (Login, error) {
	start := time.Now()
	err := s.takeCode(ctx, id.Account, strings.TrimSpace(code))
	if errors.Is(err, ErrLogin) {
		err = errors.Join(err, s.failed(ctx, id.Account))
		s.Delay(ctx, start)
	}
	if err != nil {
		return Login{}, err
	}
	item, err := s.accounts.Get(ctx, id.Account)
	if err != nil {
		return Login{}, err
	}
	if err := s.CloseSession(ctx, id.Session); err != nil {
		return Login{}, err
	}
	return s.enter(ctx, id.Account, Session{Purpose: s.afterFactor(ctx, item.Value), Proof: id.session.Proof}, c)
}

// afterFactor is what is left of a login: a password that must be changed, or
// has expired, comes before anything else.
func (s *Service) afterFactor(ctx context.Context, a Account) Purpose {
	if a.MustChange || s.Expired(ctx, a.Credential, a.Created) {
		return ChangePassword
	}
	return Full
}

// takeCode uses up a code, or fails with ErrLogin.
func (s *Service) takeCode(ctx context.Context, account, code string) error {
	_, err := s.accounts.Modify(ctx, account, func(a *Account) error {
		if a.Disabled || a.Lock.Locked(s.now()) || !a.Factor.On() {
			return ErrLogin
		}
		secret, err := s.factorSecret(ctx, account, a.Factor.Key)
		if err != nil {
			return err
		}
		if n, ok := step(secret, code, s.now()); ok && n > a.Factor.Step {
			a.Factor.Step = n
			return nil
		}
		for i, hash := range a.Factor.Recovery {
			if equal(hash, hashed(strings.ToLower(code))) {
				a.Factor.Recovery = append(a.Factor.Recovery[:i:i], a.Factor.Recovery[i+1:]...)
				return nil
			}
		}
		return ErrLogin
	})
	return err
}
