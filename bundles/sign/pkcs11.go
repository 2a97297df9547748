//go:build pkcs11key

package sign

const pkcs11Remedy = "check module-path, token and object of the URI, and that the PIN is in the URI (pin-value) or in COSIGN_PKCS11_PIN"
