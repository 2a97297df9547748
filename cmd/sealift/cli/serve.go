package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/resident"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/serve"
)

// serverFlags say how a registry is offered.
type serverFlags struct {
	opts      serve.ServerOptions
	accessLog bool
}

func (f *serverFlags) addTo(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.opts.Addr, "addr", "127.0.0.1:5000", "`HOST:PORT` to listen on; port 0 takes a free one")
	fl.StringVar(&f.opts.CertFile, "tls-cert", "", "PEM `file` of the certificate; it is read again when it was renewed")
	fl.StringVar(&f.opts.KeyFile, "tls-key", "", "PEM `file` of the certificate's key")
	fl.BoolVar(&f.accessLog, "access-log", false, "a line on standard error for each request: what, by whom, with which answer")
}

// run serves a handler until the end.
func (f *serverFlags) run(ctx context.Context, a *app, handler http.Handler, what string) error {
	if f.accessLog {
		handler = serve.Logged(handler, a.serverLogger())
	}
	return serve.Run(ctx, handler, f.options(a, what))
}

// options completes the flags with what all servers do: the address goes to
// standard output, so that a script can read it.
func (f *serverFlags) options(a *app, what string) serve.ServerOptions {
	opts := f.opts
	opts.Logger = a.logger()
	opts.Listening = func(url string) {
		a.note("serving %s; end with Ctrl-C", what)
		fmt.Fprintln(a.Out, url)
	}
	return opts
}

func (a *app) mirrorServe() *cobra.Command {
	var t trust
	var server serverFlags
	var prefixes []string
	cmd := &cobra.Command{
		Use:   "serve FILE... --addr HOST:PORT --key PUB",
		Short: "Serve bundles as a read-only registry, straight from the files",
		Long: `Checks the signature of each bundle, then serves its content by the OCI distribution protocol. Nothing is unpacked or
copied: blobs go from the file to the client. Prints the address when it is ready; ends with Ctrl-C.`,
		Example: `  sealift mirror serve management-plane.tar --addr 0.0.0.0:5000 --key cosign.pub --tls-cert tls.crt --tls-key tls.key`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := mirror.ParseMapping("", prefixes)
			if err != nil {
				return err
			}
			open, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			readers, closeAll, err := openAll(cmd.Context(), args, open)
			if err != nil {
				return err
			}
			defer closeAll()
			a.warnUnused(m, readers)
			handler, err := serve.Bundles(cmd.Context(), readers, m)
			if err != nil {
				return err
			}
			return server.run(cmd.Context(), a, handler, plural(len(readers), "bundle")+" read-only")
		},
	}
	t.addTo(cmd)
	server.addTo(cmd)
	cmd.Flags().StringArrayVar(&prefixes, "prefix", nil, "offer images of a source elsewhere: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	return cmd
}

// registryGarbage is the collector's percentage of a registry. The distribution
// library allocates 4 MiB for each blob that it serves: at the usual 100 a third
// of its processor time goes into collecting them.
const registryGarbage = 200

func (a *app) registryServe() *cobra.Command {
	var server serverFlags
	var opts serve.RegistryOptions
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run a writable registry on a folder",
		Long: `Runs the distribution project's registry inside of this program, with its content in a folder. Without --htpasswd
everybody who reaches it may push. Prints the address when it is ready; ends with Ctrl-C.`,
		Example: `  sealift registry serve --data /srv/registry --addr 0.0.0.0:5000 --tls-cert tls.crt --tls-key tls.key --htpasswd users`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			handler, closeRegistry, err := serve.Registry(cmd.Context(), opts)
			if err != nil {
				return err
			}
			resident.Collect(registryGarbage)
			err = server.run(cmd.Context(), a, handler, opts.Data)
			if closeErr := closeRegistry(); err == nil {
				err = closeErr
			}
			return err
		},
	}
	cmd.Flags().StringVar(&opts.Data, "data", "registry", "`folder` for the content; it is made")
	cmd.Flags().StringVar(&opts.Htpasswd, "htpasswd", "", "`file` of users with bcrypt hashes")
	server.addTo(cmd)
	return cmd
}
