package cli

import (
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// sourceFlags say how a bundle is reached that is remote or encrypted.
type sourceFlags struct {
	cmd      *cobra.Command
	ca       string
	identity string
}

// addTo defines the flags. A command with flags for registries defines those
// first: its --plain-http is for bundles too.
func (f *sourceFlags) addTo(cmd *cobra.Command) {
	f.addRemote(cmd)
	cmd.Flags().StringVar(&f.identity, "identity", "", "`file` of the private age key that decrypts a bundle (default: the one that "+encrypt.IdentityVariable+" names)")
}

// addRemote defines the flags without that of decryption.
func (f *sourceFlags) addRemote(cmd *cobra.Command) {
	f.cmd = cmd
	fl := cmd.Flags()
	fl.StringVar(&f.ca, "source-ca", "", "PEM `file` of an authority to trust for https:// and s3://, besides the system's")
	if fl.Lookup("plain-http") == nil {
		fl.StringSlice("plain-http", nil, "`HOST[:PORT]` of a web server that has no TLS; may be repeated")
	}
}

// options turns the flags and the environment into what opens a bundle.
func (f *sourceFlags) options() (location.Options, error) {
	opts := location.Options{CAFile: f.ca, Username: os.Getenv("SEALIFT_SOURCE_USERNAME"), Password: os.Getenv("SEALIFT_SOURCE_PASSWORD")}
	var err error
	if opts.PlainHTTP, err = f.cmd.Flags().GetStringSlice("plain-http"); err != nil {
		return opts, err
	}
	file := f.identity
	if file == "" {
		file = os.Getenv(encrypt.IdentityVariable)
	}
	if file != "" {
		opts.Identities, err = encrypt.ReadIdentities(file)
	}
	return opts, err
}

// targetFlags say how a bundle is written.
type targetFlags struct {
	source     sourceFlags
	volumeSize byteSize
	recipients []string
}

func (f *targetFlags) addTo(cmd *cobra.Command) {
	f.addVolumes(cmd)
	f.addRecipients(cmd)
	f.source.addTo(cmd)
}

func (f *targetFlags) addVolumes(cmd *cobra.Command) {
	cmd.Flags().Var(&f.volumeSize, "volume-size", "cut the file into FILE.001, FILE.002, ... of this `size`, such as 4GiB; 0 makes one file")
}

func (f *targetFlags) addRecipients(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.recipients, "recipient", nil, "encrypt for this public `key` of age (age1...); may be repeated")
}

// options turns the flags into what writes a bundle.
func (f *targetFlags) options() (location.CreateOptions, error) {
	opts := location.CreateOptions{VolumeSize: int64(f.volumeSize)}
	var err error
	if opts.Options, err = f.source.options(); err != nil {
		return opts, err
	}
	opts.Recipients, err = encrypt.ParseRecipients(f.recipients)
	return opts, err
}

// byteSize is a flag for a number of bytes: 4GiB, 700MB, 1000.
type byteSize int64

// String implements pflag.Value.
func (b *byteSize) String() string {
	if *b == 0 {
		return "0"
	}
	return size(int64(*b))
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size" }

// maxSize is the largest size, in bytes, that the format knows.
const maxSize = 1 << 50

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > maxSize {
		return problem.New(problem.Usage, "write it as 4GiB or 700MB", "%q is no size", text)
	}
	*b = byteSize(n)
	return nil
}
