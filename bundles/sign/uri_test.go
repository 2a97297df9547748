package sign

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

func TestRedact(t *testing.T) {
	for ref, want := range map[string]string{
		"cosign.key":                    "cosign.key",
		"/keys/a?b=c":                   "/keys/a?b=c",
		"awskms:///alias/release":       "awskms:///alias/release",
		"awskms://localhost:4566/key/1": "awskms://localhost:4566/key/1",
		"azurekms://vault.azure.net/k":  "azurekms://vault.azure.net/k",
		"hashivault://release":          "hashivault://release",
		"hsm://me:s3cret@host/k@v2":     "hsm://...@host/k@v2",
		"hsm://key?token=s3cret":        "hsm://key?...",
		"pkcs11:token=a;object=k?module-path=/m.so&pin-value=s3cret":         "pkcs11:token=a;object=k?module-path=/m.so&...",
		"pkcs11:token=a;pin-value=s3cret;object=k":                           "pkcs11:token=a;...;object=k",
		"pkcs11:token=a?pin-value=s3cret&pin-value=s3cret":                   "pkcs11:token=a?...&...",
		"pkcs11:token=a?pin%2Dvalue=s3cret":                                  "pkcs11:token=a?...",
		"pkcs11:pin-value=s3cret":                                            "pkcs11:...",
		"pkcs11:slot-id=0;id=%01?module-name=softhsm&pin-source=file:s3cret": "pkcs11:slot-id=0;id=%01?module-name=softhsm&...",
	} {
		require.Equal(t, want, Redact(ref))
	}
}

func TestUnknownService(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, ref := range []string{"nohsm://me:s3cret@host/key", "https://example.com/cosign.pub?s3cret", "k8s://ns/s3cret"} {
		_, err := NewVerifier(t.Context(), ref)
		require.ErrorIs(t, err, ErrKey)
		require.Equal(t, problem.Usage, problem.KindOf(err))
		hasRemedy(t, err, "sigstore-kms-")
		_, err = NewSigner(t.Context(), ref, Options{})
		require.ErrorIs(t, err, ErrKey)
		hasRemedy(t, err, "awskms://")
		if ref[0] != 'k' {
			require.NotContains(t, err.Error(), "s3cret")
		}
	}
}

// The four services are built in: each refuses a name that it can see is
// malformed, before it talks to anybody.
func TestServicesAreRegistered(t *testing.T) {
	for _, scheme := range []string{"awskms", "azurekms", "gcpkms", "hashivault"} {
		_, err := NewSigner(t.Context(), scheme+"://", Options{})
		require.ErrorIs(t, err, ErrKey)
		require.NotContains(t, err.Error(), "no key service is known", scheme)
	}
}

// A service that is out of reach is named as what may be wrong.
func TestServiceOutOfReach(t *testing.T) {
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "s3cret")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	_, err := NewVerifier(t.Context(), "hashivault://release")
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "s3cret")
}
