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
	flag.StringVar(&opts.TLSSecret, "tls-secret", "", "`name` of the Secret that --tls-cert and --tls-key are mounted from; pages change the certificate there")
	flag.StringVar(&opts.Uploads, "uploads", "", "`folder` that bundles are received in (default: none are)")
	flag.StringVar(&opts.KMS.Address, "kms-address", "", "https:// `address` of a Vault or OpenBao whose transit engine has the master key (default: the Secret has it)")
	flag.StringVar(&opts.KMS.Key, "kms-key", "sealift", "`name` of the key in the transit engine")
	flag.StringVar(&opts.KMS.Mount, "kms-mount", "transit", "`path` at which the transit engine is mounted")
	flag.StringVar(&opts.KMS.Namespace, "kms-namespace", "", "`namespace` of the key management service")
	flag.StringVar(&opts.KMS.TokenFile, "kms-token-file", "/etc/systemconsole/kms/token", "`file` with the token for it; it is read for each request")
	flag.StringVar(&opts.KMS.CA, "kms-ca", "", "PEM `file` of the authority of its certificate")
	room := flag.Int64("upload-room", 0, "`GiB` that all uploads in --uploads may have together (default: 64 each)")
	flag.Parse()
	opts.UploadRoom = *room << 30
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts.Level = &slog.LevelVar{}
	opts.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: opts.Level}))
	if err := incluster.Run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "systemconsole:", err)
		os.Exit(1)
	}
}
