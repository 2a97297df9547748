package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/bundles/sign"
)

func (a *app) key() *cobra.Command {
	return group("key", "Make keys: to sign bundles with, and to encrypt them for", a.keyGenerate(), a.keyAge(), a.keySign())
}

func (a *app) keyGenerate() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make a key pair for signing bundles",
		Long: `Makes PREFIX.key, an encrypted private key, and PREFIX.pub, as "cosign generate-key-pair" does. The passphrase
comes from COSIGN_PASSWORD, else from a prompt. Keep the private key on the connected side; bring the public key
into the dark site once, by another way than the bundles.`,
		Example: `  sealift key generate --out keys/release`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			open := false
			err := sign.WriteKeyPair(prefix, func() ([]byte, error) {
				p, err := a.newPassphrase(cmd.Context())
				open = len(p) == 0
				return p, err
			})
			if err != nil {
				return err
			}
			if open {
				a.note("warning: %s.key has no passphrase: whoever has the file can sign", prefix)
			}
			fmt.Fprintf(a.Out, "%s.key\n%s.pub\n", prefix, prefix)
			return nil
		},
	}
	cmd.Flags().StringVar(&prefix, "out", "cosign", "`prefix` of the two files")
	return cmd
}

func (a *app) keyAge() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "age",
		Short: "Make a key that bundles are encrypted for",
		Long: `Writes a private key of age into a new file, as "age-keygen -o FILE" does, and prints the public key, age1... Make it in the dark
site: the public key goes out, for bundle create --recipient; the file stays, for --identity. Nothing reads a bundle without it.`,
		Example: `  sealift key age --out site.txt`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			public, err := encrypt.WriteIdentity(file)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Out, public)
			a.note("%s is written: keep it, and a copy of it, where nobody else reads it", file)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "out", "age.txt", "the `file` to write")
	return cmd
}

// aPassphrase is that of a private key.
func aPassphrase() secret {
	return secret{what: "passphrase", variable: "COSIGN_PASSWORD", remedy: "set COSIGN_PASSWORD, also to nothing for a key without a passphrase"}
}

// passphrase asks for the passphrase of a key that exists.
func (a *app) passphrase(ctx context.Context) ([]byte, error) {
	return a.secret(ctx, aPassphrase(), "Passphrase of the private key: ")
}

// newPassphrase asks twice for the passphrase of a key to be made.
func (a *app) newPassphrase(ctx context.Context) ([]byte, error) {
	return a.newSecret(ctx, aPassphrase(), "Passphrase for the new private key: ")
}
