//go:build !pkcs11key

package sign

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoPKCS11InThisBuild(t *testing.T) {
	const ref = "pkcs11:token=a;object=k?pin-value=s3cret"
	_, err := NewSigner(t.Context(), ref, Options{})
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "this build has no PKCS#11 support")
	require.NotContains(t, err.Error(), "s3cret")
	hasRemedy(t, err, "make build-pkcs11")
	_, err = NewVerifier(t.Context(), ref)
	hasRemedy(t, err, "make build-pkcs11")
}
