package cli

import (
	"context"
	"errors"
	"fmt"
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
}

// cluster finds the enterprise cluster that --kubeconfig names.
func (f consoleFlags) cluster(ctx context.Context) (enterprise.Cluster, error) {
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

The first login is admin with the password admin, which has to be changed at once.`,
		Example: `  sealift console --addr 0.0.0.0:8443 --data /var/lib/sealift-console`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runConsole(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.addr, "addr", "127.0.0.1:8443", "`HOST:PORT` to listen on; port 0 takes a free one")
	fl.StringVar(&f.data, "data", "console", "`folder` for the data; it is made")
	fl.StringVar(&f.url, "url", "", "https:// `address` in links that are sent to people; default the one of the request")
	fl.StringVar(&f.certFile, "tls-cert", "", "PEM `file` of the certificate; it is read again when it was renewed")
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` with the way to the enterprise cluster, once there is one")
	fl.StringVar(&f.keyFile, "tls-key", "", "PEM `file` of the certificate's key")
	return cmd
}

func (a *app) runConsole(ctx context.Context, f consoleFlags) (err error) {
	if err := f.complete(); err != nil {
		return err
	}
	s, err := bolt.Open(filepath.Join(f.data, "console.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	keeper, err := seal.File(filepath.Join(f.data, "master.key"))
	if err != nil {
		return err
	}
	console, err := systemconsole.New(ctx, systemconsole.Options{Store: s, Keeper: keeper, Logger: a.logger(), URL: f.url,
		Uploads: filepath.Join(f.data, "uploads"), CertFile: f.certFile, KeyFile: f.keyFile, Cluster: f.cluster})
	if err != nil {
		return err
	}
	return console.Run(ctx, systemconsole.ServeOptions{Addr: f.addr, CertFile: f.certFile, KeyFile: f.keyFile,
		Listening: func(url string) {
			fmt.Fprintln(a.Out, url)
			a.note("the first login is admin with the password admin; end with Ctrl-C")
		}})
}

// complete makes what is not there: the folder and the certificate.
func (f *consoleFlags) complete() error {
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return problem.New(problem.Usage, "write it as 127.0.0.1:8443", "--addr: %w", err)
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
