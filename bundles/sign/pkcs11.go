//go:build pkcs11key

package sign

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/sigstore/cosign/v2/pkg/cosign/env"
	"github.com/sigstore/cosign/v2/pkg/cosign/pkcs11key"

	"github.com/sealift/sealift/internal/problem"
)

const pkcs11Remedy = "check module-path, token and object of the URI, that the PIN is in the URI (pin-value) or in COSIGN_PKCS11_PIN, " +
	"and that the private and the public key have the same ID"

// openPKCS11 opens a key of a token. With prompt it may ask for the PIN on the
// terminal.
func openPKCS11(ref string, prompt bool) (tokenKey, error) {
	config := pkcs11key.NewPkcs11UriConfig()
	if err := config.Parse(ref); err != nil {
		return nil, problem.New(problem.Usage, "write it as pkcs11:token=NAME;object=NAME?module-path=/PATH/MODULE.so",
			"%w: %w", ErrKey, withoutURI(err))
	}
	if config.Pin == "" { // the library asks the environment only to sign
		config.Pin = env.Getenv(env.VariablePKCS11Pin)
	}
	key, err := pkcs11key.GetKeyWithURIConfig(config, prompt)
	if err != nil {
		return nil, problem.New(problem.Failed, pkcs11Remedy, "%w: %w", ErrKey, err)
	}
	if _, err := key.SignerVerifier(); err != nil {
		key.Close()
		return nil, problem.New(problem.Failed, pkcs11Remedy, "%w: the token has no such key pair", ErrKey)
	}
	return key, nil
}

// withoutURI returns err without the URI that it quotes, which may hold a PIN.
func withoutURI(err error) error {
	var whole *url.Error
	var escape url.EscapeError
	if errors.As(err, &whole) || errors.As(err, &escape) {
		return errors.New("the URI is malformed")
	}
	return fmt.Errorf("reading the URI: %w", err)
}
