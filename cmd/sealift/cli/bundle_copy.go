package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/location"
)

// copied is the result of writing a bundle in another form.
type copied struct {
	Files []string `json:"files"`
	Size  int64    `json:"size"` // bytes of what was read
}

func (a *app) bundleSplit() *cobra.Command {
	var f targetFlags
	var to string
	cmd := &cobra.Command{
		Use:   "split FILE --volume-size SIZE -o NEW",
		Short: "Cut a bundle into volumes, cut it again, or join it",
		Long: `Writes NEW.001, NEW.002, ... of the given size, or with --volume-size 0 one file. FILE may be one file or
volumes, here or behind https:// or s3://; it is not changed. No key is needed: the bytes stay the same, also those of an
encrypted bundle. All commands read volumes in place: nobody has to join them.`,
		Example: `  sealift bundle split plane.tar --volume-size 4GiB -o /media/usb/plane.tar
  sealift bundle split /media/usb/plane.tar --volume-size 0 -o plane.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("volume-size") {
				return usageError(cmd, fmt.Errorf("--volume-size is required"))
			}
			return a.copyBundle(cmd, location.OpenRaw, args[0], to, &f)
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
			return a.copyBundle(cmd, location.Open, args[0], to, &f)
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
			return a.copyBundle(cmd, location.Open, args[0], to, &f)
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

// copyBundle writes what open gives for a name to a new one, and prints the
// names that it got.
func (a *app) copyBundle(cmd *cobra.Command, open func(context.Context, string, location.Options) (location.Source, error), name, to string, f *targetFlags) error {
	if to == "" {
		return usageError(cmd, fmt.Errorf("--output (-o) is required"))
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	from, err := open(cmd.Context(), name, opts.Options)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // opened for reading
	reporter, wait := a.progress()
	err = location.Copy(cmd.Context(), from, to, reporter, opts)
	wait()
	if err != nil {
		return err
	}
	result := copied{Size: from.Size(), Files: []string{to}}
	if opts.VolumeSize != 0 {
		if result.Files, err = location.Volumes(to); err != nil {
			return err
		}
	}
	out := output{format: "table"}
	return out.print(a.Out, result, func(w io.Writer) {
		for _, f := range result.Files {
			fmt.Fprintln(w, f)
		}
	})
}
