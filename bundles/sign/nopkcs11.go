//go:build !pkcs11key

package sign

const pkcs11Remedy = "this build has no PKCS#11 support: use sealift-pkcs11 (make build-pkcs11)"
