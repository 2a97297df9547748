// Package softhsm makes tokens of SoftHSM, a PKCS#11 module in software, with
// the tools of Debian's packages softhsm2 and opensc.
package softhsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Token is a token with key pairs.
type Token struct {
	label, module, config string
}

// Make makes a token with this label and PIN in a folder. It has one key pair of
// each kind, as pkcs11-tool names them (EC:prime256v1), with the labels key0,
// key1 and so on.
func Make(ctx context.Context, dir, label, pin string, kinds ...string) (*Token, error) {
	t := &Token{label: label, config: filepath.Join(dir, "softhsm2.conf")}
	tokens := filepath.Join(dir, "tokens")
	text := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	var err error
	if t.module, err = module(); err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(tokens, 0o700), os.WriteFile(t.config, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	if err := t.run(ctx, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", pin); err != nil {
		return nil, err
	}
	for i, kind := range kinds {
		if err := t.run(ctx, "pkcs11-tool", "--module", t.module, "--token-label", label, "--login", "--pin", pin,
			"--keypairgen", "--key-type", kind, "--label", fmt.Sprintf("key%d", i), "--id", fmt.Sprintf("%02d", i+1)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// URI names a key of the token, without its PIN.
func (t *Token) URI(key string) string {
	return "pkcs11:token=" + t.label + ";object=" + key + "?module-path=" + t.module
}

// Env returns the variable by which programs find the token: its name and value.
func (t *Token) Env() (name, value string) { return "SOFTHSM2_CONF", t.config }

// run runs a tool that finds the token.
func (t *Token) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	variable, value := t.Env()
	cmd.Env = append(os.Environ(), variable+"="+value)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s (apt-get install softhsm2 opensc): %w\n%s", name, err, out)
	}
	return nil
}

// module finds SoftHSM's module where Debian and its like have it.
func module() (string, error) {
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("SoftHSM's module: %w: apt-get install softhsm2 opensc", exec.ErrNotFound)
}
