package main

import (
	"path/filepath"

	"github.com/sealift/sealift/test/softhsm"
)

// key is a private key and the build of sealift that can use it.
type key struct{ program, ref string }

// pkcs11Build is the build that uses tokens, beside the other.
const pkcs11Build = "sealift-pkcs11"

// The secrets of the two keys, which sign nothing that anybody trusts.
const (
	passphrase = "bench"
	pin        = "31415926"
)

// secrets is the environment that opens both keys.
func (b *bench) secrets() []string {
	env := []string{"COSIGN_PASSWORD=" + passphrase, "COSIGN_PKCS11_PIN=" + pin}
	if b.token != nil {
		name, value := b.token.Env()
		env = append(env, name+"="+value)
	}
	return env
}

func (b *bench) makeKeyFile() (key, error) {
	var u usage
	return key{"sealift", filepath.Join(b.work, "cosign.key")}, b.command(b.work, &u, "sealift", "key", "generate")
}

// makeToken makes a key pair in a token of SoftHSM.
func (b *bench) makeToken() (key, error) {
	var err error
	if b.token, err = softhsm.Make(b.ctx, b.work, "bench", pin, "EC:prime256v1"); err != nil {
		return key{}, err
	}
	return key{pkcs11Build, b.token.URI("key0")}, nil
}
