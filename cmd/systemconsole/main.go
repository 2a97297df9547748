// Command systemconsole runs the system console in the cluster that it
// administers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sealift/sealift/systemconsole/incluster"
)

func main() {
	var opts incluster.Options
	flag.StringVar(&opts.Addr, "addr", ":8443", "`HOST:PORT` to listen on")
	flag.StringVar(&opts.CertFile, "tls-cert", "/etc/systemconsole/tls/tls.crt", "PEM `file` of the certificate")
	flag.StringVar(&opts.KeyFile, "tls-key", "/etc/systemconsole/tls/tls.key", "PEM `file` of the certificate's key")
	flag.StringVar(&opts.Namespace, "namespace", "", "`namespace` of the console's objects (default sealift-system)")
	flag.StringVar(&opts.Kubeconfig, "kubeconfig", "", "`file` (default the workload's own account)")
	flag.StringVar(&opts.URL, "url", "", "https:// `address` of the console in links")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts.Logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := incluster.Run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "systemconsole:", err)
		os.Exit(1)
	}
}
