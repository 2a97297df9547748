package main

import (
	"flag"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	consoleflags "github.com/sealift/sealift/systemconsole/flags"
	"github.com/sealift/sealift/systemconsole/incluster"
	"github.com/sealift/sealift/systemconsole/seal"
)

var _ enterprise.Upgrader = (*upgrader.Upgrader)(nil)

// options reads the command line's arguments. They are a set of their own: a
// library registers others with the program's.
func options(args []string) (opts incluster.Options, err error) {
	flags := flag.NewFlagSet("systemconsole", flag.ContinueOnError)
	console := consoleflags.Console{
		ServeOptions: systemconsole.ServeOptions{Addr: ":8443", CertFile: "/etc/systemconsole/tls/tls.crt", KeyFile: "/etc/systemconsole/tls/tls.key"},
		KMS:          seal.TransitOptions{TokenFile: "/etc/systemconsole/kms/token"},
	}
	console.AddTo(flags, consoleflags.Words{Kubeconfig: "default the workload's own account", MasterKey: "the Secret"})
	flags.StringVar(&opts.Namespace, "namespace", "", "`namespace` of the console's objects (default sealift-system)")
	flags.StringVar(&opts.TLSSecret, "tls-secret", "", "`name` of the Secret that --tls-cert and --tls-key are mounted from; pages change the certificate there")
	flags.StringVar(&opts.Uploads, "uploads", "", "`folder` that bundles are received in (default: none are)")
	account := flags.String("upgrade-account", "", "`name` of the service account whose rights an upgrade has (default: none is carried out here)")
	room := flags.Int64("upload-room", 0, "`GiB` that all uploads in --uploads may have together (default: 64 each)")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("what is %q? there are no arguments beside the options, which -help lists", flags.Arg(0))
	}
	opts.ServeOptions, opts.URL, opts.Kubeconfig, opts.KMS = console.ServeOptions, console.URL, console.Kubeconfig, console.KMS
	opts.UploadRoom = *room << 30
	if *account != "" {
		opts.Upgrader = func(config *rest.Config) enterprise.Upgrader { return upgrader.InCluster(config, *account) }
	}
	return opts, nil
}
