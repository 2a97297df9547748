package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) key() *cobra.Command {
	return group("key", "Make signing keys", a.keyGenerate(), a.keySign())
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

const passphraseVariable = "COSIGN_PASSWORD"

// passphrase asks for the passphrase of a key that exists.
func (a *app) passphrase(ctx context.Context) ([]byte, error) {
	if p, ok := os.LookupEnv(passphraseVariable); ok {
		return []byte(p), nil
	}
	return a.prompt(ctx, "Passphrase of the private key: ")
}

// newPassphrase asks twice for the passphrase of a key to be made.
func (a *app) newPassphrase(ctx context.Context) ([]byte, error) {
	if p, ok := os.LookupEnv(passphraseVariable); ok {
		return []byte(p), nil
	}
	first, err := a.prompt(ctx, "Passphrase for the new private key: ")
	if err != nil {
		return nil, err
	}
	again, err := a.prompt(ctx, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, problem.New(problem.Failed, "type the same passphrase twice; nothing was written", "the two passphrases differ")
	}
	return first, nil
}

func (a *app) prompt(ctx context.Context, text string) ([]byte, error) {
	p, ok := a.prompter()
	if !ok {
		return nil, problem.New(problem.Usage, "set "+passphraseVariable+", also to nothing for a key without a passphrase",
			"a passphrase is needed and there is no terminal to ask for it")
	}
	return p.secret(ctx, text)
}
