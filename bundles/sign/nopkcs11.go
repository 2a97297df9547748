//go:build !pkcs11key

package sign

import "github.com/sealift/sealift/internal/problem"

// openPKCS11 fails: PKCS#11 modules are C libraries, and this build is free of
// C.
func openPKCS11(string, bool) (tokenKey, error) {
	return nil, problem.New(problem.Usage, "use the sealift-pkcs11 build (make build-pkcs11)",
		"%w: this build has no PKCS#11 support", ErrKey)
}
