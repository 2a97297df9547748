package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

// trust is the flags by which a command decides what bundle it accepts.
type trust struct {
	key        string
	minVersion string
	source     sourceFlags
}

// addKey defines the flags for bundles of any version.
func (t *trust) addKey(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.key, "key", "", "public `key` that the bundle must be signed with: a file, a KMS or a PKCS#11 URI")
	t.source.addTo(cmd)
}

func (t *trust) addTo(cmd *cobra.Command) {
	t.addKey(cmd)
	cmd.Flags().Func("min-version", "refuse bundles of a lower `version` than this, such as an old one played again", func(text string) error {
		if text == "" { // as of a variable that is not set: it would check nothing
			return errors.New("it is empty")
		}
		t.minVersion = text
		_, err := bundles.Older(text, text)
		return err
	})
}

// open returns what bundles.Open needs. Without a key it fails.
func (t *trust) open(ctx context.Context) (bundles.OpenOptions, error) {
	if t.key == "" {
		return bundles.OpenOptions{}, problem.New(problem.Usage,
			"give the public key that came to this site by another way than the bundle: --key cosign.pub", "--key is required")
	}
	v, err := sign.NewVerifier(ctx, t.key)
	if err != nil {
		return bundles.OpenOptions{}, err
	}
	opts, err := t.source.options()
	return bundles.OpenOptions{Verifier: v, MinVersion: t.minVersion, Location: opts}, err
}

// openAny is open, but without a key it accepts bundles whoever made them.
func (t *trust) openAny(ctx context.Context) (bundles.OpenOptions, error) {
	if t.key != "" {
		return t.open(ctx)
	}
	opts, err := t.source.options()
	return bundles.OpenOptions{Unsigned: true, MinVersion: t.minVersion, Location: opts}, err
}

func (a *app) bundleVerify() *cobra.Command {
	var t trust
	var out output
	var jobs int
	cmd := &cobra.Command{
		Use: "verify FILE [BASE...] --key PUB", SuggestFor: []string{"check", "validate"},
		Short: "Check signature, every byte and completeness of a bundle",
		Long: `Checks the signature before anything else is believed, then every byte of the file, many blobs at once,
then that nothing is missing: every part of every image, and every image that the charts, packs and manifests in the bundle name
at the values that travel with them. All faults are listed, not only the first. No other
network than that of the file is asked. Beside a delta, the bundles that it is over may be named: their signatures are checked, and that
together they have all that it leaves out; their content is not read, and what is no base is refused. Volumes (FILE.001, ...) are read in place, as are https:// and s3:// addresses and what is encrypted with age.`,
		Example: `  sealift bundle verify management-plane.tar --key cosign.pub
  sealift bundle verify delta.tar management-plane.tar --key cosign.pub
  sealift bundle verify https://files.site/management-plane.tar --key cosign.pub`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			open, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			reporter, wait := a.progress()
			v, err := bundles.Verify(cmd.Context(), args[0], open,
				bundles.VerifyOptions{VerifyOptions: archive.VerifyOptions{Jobs: jobs, Progress: reporter}, Bases: args[1:]})
			wait()
			if v == nil {
				return err
			}
			return errors.Join(err, out.print(a.Out, v, func(w io.Writer) { verificationTable(w, v) }))
		},
	}
	t.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	jobsFlag(cmd, &jobs, "`number` of blobs to check at once (default: one a core)")
	return cmd
}

func verificationTable(w io.Writer, v *bundles.Verification) {
	if v.Valid && v.FromBase.Blobs > 0 && len(v.Bases) > 0 {
		fmt.Fprintf(w, "%s %s is whole with its base: signatures, %s, %s, %s; %s (%s) are there\n", v.Name, v.Version,
			plural(v.Blobs, "blob"), contents(v.Contents), size(v.Bytes), plural(v.FromBase.Blobs, "blob"), size(v.FromBase.Bytes))
		return
	}
	if v.Valid && v.FromBase.Blobs > 0 {
		fmt.Fprintf(w, "%s %s is a good delta: signature, %s, %s, %s; with %s (%s) of its base it is whole\n", v.Name, v.Version,
			plural(v.Blobs, "blob"), contents(v.Contents), size(v.Bytes), plural(v.FromBase.Blobs, "blob"), size(v.FromBase.Bytes))
		return
	}
	if v.Valid {
		fmt.Fprintf(w, "%s %s is whole: signature, %s, %s, %s\n", v.Name, v.Version, plural(v.Blobs, "blob"), contents(v.Contents), size(v.Bytes))
		return
	}
	fmt.Fprintf(w, "%s %s has %s:\n", v.Name, v.Version, plural(len(v.Faults), "fault"))
	for _, f := range v.Faults {
		fmt.Fprintf(w, "  %s\n", f)
	}
}
