package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
)

func (a *app) bundleSplit() *cobra.Command {
	var f targetFlags
	var to string
	cmd := &cobra.Command{
		Use:   "split FILE --volume-size SIZE -o NEW",
		Short: "Cut a bundle into volumes, cut it again, or join it",
		Long: `Writes NEW.001, NEW.002, ... of the given size, or with --volume-size 0 one file. FILE may be one file or
volumes, here or behind https:// or s3://; it is not changed. No key is needed: the bytes stay the same, also those of an
encrypted bundle. What is no bundle, or not the whole of one, is refused, unless encryption hides it. All
commands read volumes in place: nobody has to join them.`,
		Example: `  sealift bundle split plane.tar --volume-size 4GiB -o /media/usb/plane.tar
  sealift bundle split /media/usb/plane.tar --volume-size 0 -o plane.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("volume-size") {
				return usageError(cmd, fmt.Errorf("--volume-size is required"))
			}
			return a.copyBundle(cmd, args[0], to, &f, true)
		},
	}
	f.addVolumes(cmd)
	f.source.addRemote(cmd)
	addNew(cmd, &to)
	return cmd
}

func (a *app) bundleEncrypt() *cobra.Command {
	var f targetFlags
	var to string
	cmd := &cobra.Command{
		Use:   "encrypt FILE --recipient age1... -o NEW",
		Short: "Encrypt a bundle",
		Long: `Encrypts a bundle with age for one or more recipients. All commands read the result in place with --identity;
"age --decrypt" does too. FILE is not changed or removed. Encryption hides what is inside; who made it is what the
signature says.`,
		Example: `  sealift bundle encrypt plane.tar --recipient age1qyq... -o plane.tar.age`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(f.recipients) == 0 {
				return usageError(cmd, fmt.Errorf("--recipient is required"))
			}
			return a.copyBundle(cmd, args[0], to, &f, false)
		},
	}
	f.addTo(cmd)
	addNew(cmd, &to)
	return cmd
}

func (a *app) bundleDecrypt() *cobra.Command {
	var f targetFlags
	var to string
	cmd := &cobra.Command{
		Use:   "decrypt FILE --identity KEYFILE -o NEW",
		Short: "Decrypt a bundle",
		Long: `Writes a bundle that is encrypted with age as a plain file. Only tools that are not sealift need it: all commands
read an encrypted bundle in place. FILE is not changed or removed.`,
		Example: `  sealift bundle decrypt plane.tar.age --identity key.txt -o plane.tar`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.copyBundle(cmd, args[0], to, &f, false)
		},
	}
	f.addVolumes(cmd)
	f.source.addTo(cmd)
	addNew(cmd, &to)
	return cmd
}

// addNew defines -o.
func addNew(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "output", "o", "", "the `NEW` file, or the name before the numbers")
}

// copyBundle writes the bundle of a name to a new one, and prints the names
// that it got.
func (a *app) copyBundle(cmd *cobra.Command, from, to string, f *targetFlags, raw bool) error {
	if to == "" {
		return usageError(cmd, fmt.Errorf("--output (-o) is required"))
	}
	opts := bundles.CopyOptions{Raw: raw}
	var err error
	if opts.CreateOptions, err = f.options(); err != nil {
		return err
	}
	reporter, wait := a.progress()
	opts.Progress = reporter
	done, err := bundles.Copy(cmd.Context(), from, to, opts)
	wait()
	if err != nil {
		return err
	}
	for _, f := range done.Files {
		fmt.Fprintln(a.Out, f)
	}
	if done.Unseen {
		a.note("it is encrypted: whether it is whole shows sealift bundle verify, with --identity")
	}
	return nil
}
