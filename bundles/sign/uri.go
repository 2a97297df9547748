package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"

	"github.com/sealift/sealift/internal/problem"
)

const pkcs11Scheme = "pkcs11:"

func isPKCS11(ref string) bool { return strings.HasPrefix(ref, pkcs11Scheme) }

// IsFile tells whether a key is named as a file, and not by a URI of a key
// service or a token.
func IsFile(ref string) bool { return !isURI(ref) && !isPKCS11(ref) }

func isURI(ref string) bool { return strings.Contains(ref, "://") && !isPKCS11(ref) }

// tokenKey is a key of a PKCS#11 token, in a session that Close ends.
type tokenKey interface {
	signature.SignerVerifier
	Close()
}

func openKMS(ctx context.Context, ref string) (kms.SignerVerifier, error) {
	sv, err := kms.Get(ctx, ref, crypto.SHA256)
	var unknown *kms.ProviderNotFoundError
	if errors.As(err, &unknown) {
		scheme, _, _ := strings.Cut(ref, "://")
		return nil, problem.New(problem.Usage,
			"use a file, awskms://, azurekms://, gcpkms://, hashivault:// or pkcs11:, or put the plugin sigstore-kms-"+scheme+" on PATH",
			"%w: no key service is known by the name %s", ErrKey, scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, conceal(err, ref))
	}
	return sv, nil
}

// conceal takes what Redact hides out of the text of an error about ref.
func conceal(err error, ref string) error {
	if safe := Redact(ref); safe != ref && strings.Contains(err.Error(), ref) {
		return errors.New(strings.ReplaceAll(err.Error(), ref, safe))
	}
	return err
}

// Redact hides the secrets that the name of a key may hold: of a PKCS#11 URI
// every value but those that are known to be harmless, above all the PIN; of
// another URI the user with the password and the query.
func Redact(ref string) string {
	if isPKCS11(ref) {
		return pkcs11Scheme + redactAttributes(ref[len(pkcs11Scheme):])
	}
	scheme, rest, ok := strings.Cut(ref, "://")
	if !ok {
		return ref
	}
	rest, _, query := strings.Cut(rest, "?")
	host, path, slash := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = "..." + host[at:]
	}
	out := scheme + "://" + host
	if slash {
		out += "/" + path
	}
	if query {
		out += "?..."
	}
	return out
}

func redactAttributes(text string) string {
	var out strings.Builder
	for text != "" {
		end := strings.IndexAny(text, "?;&")
		part, separator := text, ""
		if end >= 0 {
			part, separator = text[:end], text[end:end+1]
		}
		text = text[len(part)+len(separator):]
		name, _, _ := strings.Cut(part, "=")
		switch name {
		case "token", "slot-id", "object", "id", "type", "manufacturer", "model", "serial", "module-path", "module-name":
			out.WriteString(part)
		default:
			out.WriteString("...")
		}
		out.WriteString(separator)
	}
	return out.String()
}
