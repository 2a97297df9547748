package sign

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// WriteKeyPair makes a new key pair as `cosign generate-key-pair` does, and
// writes prefix.key (readable by its owner only) and prefix.pub. Existing
// files are never replaced, and a failed run leaves neither of the two. What
// passphrase returns is wiped after use; nil stands for an empty passphrase.
func WriteKeyPair(prefix string, passphrase func() ([]byte, error)) error {
	if prefix == "" || os.IsPathSeparator(prefix[len(prefix)-1]) {
		return problem.New(problem.Usage, "add a name, as in keys/release", "making a key pair: the prefix %q names no file", prefix)
	}
	private, public := prefix+".key", prefix+".pub"
	for _, path := range []string{private, public} {
		if _, err := os.Lstat(path); err == nil {
			return exists(path)
		}
	}
	if err := checkFolder(filepath.Dir(prefix)); err != nil {
		return err
	}
	pass, err := ask(passphrase)
	if err != nil {
		return fmt.Errorf("making a key pair: %w", err)
	}
	defer clear(pass)
	keys, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return pass, nil })
	if err != nil {
		return fmt.Errorf("making a key pair: %w", err)
	}
	if err := writeNew(private, keys.PrivateBytes, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, keys.PublicBytes, 0o644); err != nil {
		return errors.Join(err, os.Remove(private))
	}
	return nil
}

// checkFolder fails before anybody is asked for a passphrase in vain.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		return problem.New(problem.Usage, "make the folder first", "making a key pair: %w", err)
	}
	return nil
}

func writeNew(path string, data []byte, perm os.FileMode) error {
	err := durable.WriteNew(path, data, perm)
	if errors.Is(err, durable.ErrExists) {
		return exists(path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func exists(path string) error {
	return problem.New(problem.Failed, "choose another --out; a private key that is replaced is lost",
		"making a key pair: %s exists already: %w", path, durable.ErrExists)
}

// ask returns the passphrase, which is empty where there is nobody to ask.
func ask(passphrase func() ([]byte, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, nil
	}
	return passphrase()
}

// readKey reads a key file of a sane size.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("%w: the file has more than %d bytes", ErrKey, maxKeyFile)
	}
	return data, err
}
