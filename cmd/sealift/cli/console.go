package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

// consoleFlags say how the console is run on this host.
type consoleFlags struct {
	addr, data, url   string
	certFile, keyFile string
	kubeconfig        string
	bundle            string
	trust             trust
	kms               seal.TransitOptions
}

// cluster finds the enterprise cluster that --kubeconfig names.
func (f *consoleFlags) cluster(ctx context.Context) (enterprise.Cluster, error) {
	if f.kubeconfig == "" {
		return nil, enterprise.ErrNotFound
	}
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return nil, problem.New(problem.Usage, "name the file that the installation wrote", "reading --kubeconfig: %w", err)
	}
	return enterprise.Connect(ctx, config, enterprise.Options{})
}

func (a *app) console() *cobra.Command {
	var f consoleFlags
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Run the system console on this host",
		Long: `Runs the site for those who run the platform, with its data in a folder. It always has TLS: without --tls-cert it makes a
certificate at the first start, which browsers do not know. Prints the address when it is ready; ends with Ctrl-C.

The first login is admin with the password admin, which has to be changed at once.

With --bundle and --key, the page Enterprise cluster leads through the installation of one, as sealift install does: the site, its
check, the steps as they go. Credentials are read from where the site names them (fromEnv, file). An installation that was under way
when the console ended goes on when it is started again.`,
		Example: `  sealift console --addr 0.0.0.0:8443 --data /var/lib/sealift-console
  sealift console --bundle enterprise.tar --key cosign.pub`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runConsole(cmd.Context(), &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.addr, "addr", "127.0.0.1:8443", "`HOST:PORT` to listen on; port 0 takes a free one")
	fl.StringVar(&f.data, "data", "console", "`folder` for the data; it is made")
	fl.StringVar(&f.url, "url", "", "https:// `address` in links that are sent to people; default the one of the request")
	fl.StringVar(&f.certFile, "tls-cert", "", "PEM `file` of the certificate; it is read again when it was renewed")
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` with the way to the enterprise cluster, once there is one")
	fl.StringVar(&f.keyFile, "tls-key", "", "PEM `file` of the certificate's key")
	fl.StringVar(&f.bundle, "bundle", "", "the enterprise bundle `FILE` that the console can install")
	fl.StringVar(&f.kms.Address, "kms-address", "", "https:// `address` of a Vault or OpenBao whose transit engine has the master key (default: a file in the folder)")
	fl.StringVar(&f.kms.Key, "kms-key", "sealift", "`name` of the key in the transit engine")
	fl.StringVar(&f.kms.Mount, "kms-mount", "transit", "`path` at which the transit engine is mounted")
	fl.StringVar(&f.kms.Namespace, "kms-namespace", "", "`namespace` of the key management service")
	fl.StringVar(&f.kms.TokenFile, "kms-token-file", "", "`file` with the token for it; it is read for each request")
	fl.StringVar(&f.kms.CA, "kms-ca", "", "PEM `file` of the authority of its certificate")
	f.trust.addTo(cmd)
	cmd.AddCommand(a.consoleRestore())
	return cmd
}

func (a *app) runConsole(ctx context.Context, f *consoleFlags) (err error) {
	if err := f.complete(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := bolt.Open(filepath.Join(f.data, "console.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	keeper, err := f.keeper(ctx)
	if err != nil {
		return err
	}
	level := &slog.LevelVar{}
	opts := systemconsole.Options{Store: s, Keeper: keeper, Logger: slog.New(atLevel{a.logger().Handler(), level}), Level: level, URL: f.url,
		Uploads: filepath.Join(f.data, "uploads"), CertFile: f.certFile, KeyFile: f.keyFile, Cluster: f.cluster}
	wait, err := a.offerInstallation(ctx, f, &opts)
	if err != nil {
		return err
	}
	defer func() { cancel(); wait() }()
	console, err := systemconsole.New(ctx, opts)
	if err != nil {
		return err
	}
	return console.Run(ctx, systemconsole.ServeOptions{Addr: f.addr, CertFile: f.certFile, KeyFile: f.keyFile,
		Listening: func(url string) {
			fmt.Fprintln(a.Out, url)
			a.note("the first login is admin with the password admin; end with Ctrl-C")
		}})
}

// keeper returns who has the master key: the key management service, or a file.
// A file that was there before the service still opens what it wrapped.
func (f *consoleFlags) keeper(ctx context.Context) (seal.Keeper, error) {
	path := filepath.Join(f.data, "master.key")
	if f.kms.Address == "" {
		return seal.File(path)
	}
	keeper, err := seal.Transit(ctx, f.kms)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return keeper, nil
	}
	before, err := seal.File(path)
	if err != nil {
		return nil, err
	}
	return seal.After(keeper, before), nil
}

// offerInstallation lets the console install a cluster when a bundle was given.
// The function that it returns waits for what was begun, once ctx is done.
func (a *app) offerInstallation(ctx context.Context, f *consoleFlags, opts *systemconsole.Options) (wait func(), err error) {
	if f.bundle == "" {
		return func() {}, nil
	}
	installation, err := a.newInstallation(ctx, filepath.Join(f.data, "installation"), f.bundle, f.trust)
	if err != nil {
		return nil, err
	}
	opts.Installation, opts.Upgrader = installation, installation.upgrader()
	if f.kubeconfig == "" {
		opts.Cluster = installation.cluster
	}
	return installation.run.Wait, nil
}

// complete makes what is not there: the folder and the certificate.
func (f *consoleFlags) complete() error {
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return problem.New(problem.Usage, "write it as 127.0.0.1:8443", "--addr: %w", err)
	}
	if f.bundle != "" && f.trust.key == "" {
		return problem.New(problem.Usage, "give the public key that came to this site by another way than the bundle: --key cosign.pub", "--bundle without --key")
	}
	if (f.certFile == "") != (f.keyFile == "") {
		return problem.New(problem.Usage, "give both --tls-cert and --tls-key", "a certificate without its key, or the reverse")
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return fmt.Errorf("making the console's folder: %w", err)
	}
	if f.certFile == "" {
		f.certFile, f.keyFile, err = systemconsole.SelfSigned(f.data, host)
	}
	return err
}

// atLevel is a log of which administrators set the level while it is written.
type atLevel struct {
	slog.Handler
	level *slog.LevelVar
}

// Enabled implements slog.Handler.
func (l atLevel) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= l.level.Level() && l.Handler.Enabled(ctx, max(level, slog.LevelInfo))
}

// WithAttrs implements slog.Handler.
func (l atLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLevel{l.Handler.WithAttrs(attrs), l.level}
}

// WithGroup implements slog.Handler.
func (l atLevel) WithGroup(name string) slog.Handler {
	return atLevel{l.Handler.WithGroup(name), l.level}
}
