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
	"github.com/sealift/sealift/systemconsole/flags"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

// The files of a console's folder.
const (
	databaseFile  = "console.db"
	masterKeyFile = "master.key"
)

// consoleFlags say how the console is run on this host.
type consoleFlags struct {
	flags.Console
	data   string
	bundle string
	trust  trust
}

// cluster finds the enterprise cluster that --kubeconfig names.
func (f *consoleFlags) cluster(ctx context.Context) (enterprise.Source, error) {
	if f.Kubeconfig == "" {
		return nil, enterprise.ErrNotFound
	}
	config, err := clientcmd.BuildConfigFromFlags("", f.Kubeconfig)
	if err != nil {
		return nil, problem.New(problem.Usage, "name the file that the installation wrote", "reading --kubeconfig: %w", err)
	}
	return enterprise.Connect(ctx, config, enterprise.Options{})
}

func (a *app) console() *cobra.Command {
	f := consoleFlags{Console: flags.Console{ServeOptions: systemconsole.ServeOptions{Addr: "127.0.0.1:8443"}}}
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
	f.AddTo(fl, flags.Words{Kubeconfig: "once there is one", MasterKey: "a file in the folder"})
	fl.StringVar(&f.data, "data", "console", "`folder` for the data; it is made")
	fl.StringVar(&f.bundle, "bundle", "", "the enterprise bundle `FILE` that the console can install")
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
	db := filepath.Join(f.data, databaseFile)
	if err := unlessRestoring(db); err != nil {
		return err
	}
	s, err := bolt.Open(db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	keeper, err := masterKey(ctx, f.data, f.KMS)
	if err != nil {
		return err
	}
	level := &slog.LevelVar{}
	opts := systemconsole.Options{Store: s, Keeper: keeper, Logger: slog.New(atLevel{a.logger().Handler(), level}), Level: level, URL: f.URL,
		Uploads: filepath.Join(f.data, "uploads"), CertFile: f.CertFile, KeyFile: f.KeyFile, Cluster: f.cluster}
	wait, err := a.offerInstallation(ctx, f, &opts)
	if err != nil {
		return err
	}
	defer func() { cancel(); wait() }()
	console, err := systemconsole.New(ctx, opts)
	if err != nil {
		return err
	}
	serve := f.ServeOptions
	serve.Listening = func(url string) {
		fmt.Fprintln(a.Out, url)
		a.note("the first login is admin with the password admin; end with Ctrl-C")
	}
	return console.Run(ctx, serve)
}

// masterKey returns who has the master key of the console in a folder: the key
// management service, or a file. A file that was there before the service still
// opens what it wrapped.
func masterKey(ctx context.Context, data string, kms seal.TransitOptions) (seal.Keeper, error) {
	path := filepath.Join(data, masterKeyFile)
	if kms.Address == "" {
		return seal.File(path)
	}
	keeper, err := seal.Transit(ctx, kms)
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
	if f.Kubeconfig == "" {
		opts.Cluster = installation.cluster
	}
	return installation.run.Wait, nil
}

// complete makes what is not there: the folder and the certificate.
func (f *consoleFlags) complete() error {
	host, _, err := net.SplitHostPort(f.Addr)
	if err != nil {
		return problem.New(problem.Usage, "write it as 127.0.0.1:8443", "--addr: %w", err)
	}
	if f.bundle != "" && f.trust.key == "" {
		return problem.New(problem.Usage, "give the public key that came to this site by another way than the bundle: --key cosign.pub", "--bundle without --key")
	}
	if (f.CertFile == "") != (f.KeyFile == "") {
		return problem.New(problem.Usage, "give both --tls-cert and --tls-key", "a certificate without its key, or the reverse")
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return fmt.Errorf("making the console's folder: %w", err)
	}
	if f.CertFile == "" {
		f.CertFile, f.KeyFile, err = systemconsole.SelfSigned(f.data, host)
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
