package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	return []string{"COSIGN_PASSWORD=" + passphrase, "COSIGN_PKCS11_PIN=" + pin, "SOFTHSM2_CONF=" + filepath.Join(b.work, "softhsm2.conf")}
}

func (b *bench) makeKeyFile() (key, error) {
	var u usage
	return key{"sealift", filepath.Join(b.work, "cosign.key")}, b.command(b.work, &u, "sealift", "key", "generate")
}

// makeToken makes a key pair in a token of SoftHSM.
func (b *bench) makeToken() (key, error) {
	module, err := softModule()
	if err != nil {
		return key{}, err
	}
	tokens := filepath.Join(b.work, "tokens")
	config := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := errors.Join(os.Mkdir(tokens, 0o700), os.WriteFile(filepath.Join(b.work, "softhsm2.conf"), []byte(config), 0o600)); err != nil {
		return key{}, err
	}
	var u usage
	err = b.command(b.work, &u, "softhsm2-util", "--init-token", "--free", "--label", "bench", "--pin", pin, "--so-pin", pin)
	if err == nil {
		err = b.command(b.work, &u, "pkcs11-tool", "--module", module, "--token-label", "bench", "--login", "--pin", pin,
			"--keypairgen", "--key-type", "EC:prime256v1", "--label", "key", "--id", "01")
	}
	return key{pkcs11Build, "pkcs11:token=bench;object=key?module-path=" + module}, err
}

// softModule finds SoftHSM's module where Debian and its like have it.
func softModule() (string, error) {
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("SoftHSM's module: %w: apt-get install softhsm2 opensc", exec.ErrNotFound)
}
