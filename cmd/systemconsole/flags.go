package main

import (
	"flag"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/incluster"
)

var _ enterprise.Upgrader = (*upgrader.Upgrader)(nil)

// options reads the command line's arguments. They are a set of their own: a
// library registers others with the program's.
func options(args []string) (opts incluster.Options, err error) {
	flags := flag.NewFlagSet("systemconsole", flag.ContinueOnError)
	flags.StringVar(&opts.Addr, "addr", ":8443", "`HOST:PORT` to listen on")
	flags.StringVar(&opts.CertFile, "tls-cert", "/etc/systemconsole/tls/tls.crt", "PEM `file` of the certificate")
	flags.StringVar(&opts.KeyFile, "tls-key", "/etc/systemconsole/tls/tls.key", "PEM `file` of the certificate's key")
	flags.StringVar(&opts.Namespace, "namespace", "", "`namespace` of the console's objects (default sealift-system)")
	flags.StringVar(&opts.Kubeconfig, "kubeconfig", "", "`file` (default the workload's own account)")
	flags.StringVar(&opts.URL, "url", "", "https:// `address` of the console in links")
	flags.StringVar(&opts.TLSSecret, "tls-secret", "", "`name` of the Secret that --tls-cert and --tls-key are mounted from; pages change the certificate there")
	flags.StringVar(&opts.Uploads, "uploads", "", "`folder` that bundles are received in (default: none are)")
	flags.StringVar(&opts.KMS.Address, "kms-address", "", "https:// `address` of a Vault or OpenBao whose transit engine has the master key (default: the Secret has it)")
	flags.StringVar(&opts.KMS.Key, "kms-key", "sealift", "`name` of the key in the transit engine")
	flags.StringVar(&opts.KMS.Mount, "kms-mount", "transit", "`path` at which the transit engine is mounted")
	flags.StringVar(&opts.KMS.Namespace, "kms-namespace", "", "`namespace` of the key management service")
	flags.StringVar(&opts.KMS.TokenFile, "kms-token-file", "/etc/systemconsole/kms/token", "`file` with the token for it; it is read for each request")
	flags.StringVar(&opts.KMS.CA, "kms-ca", "", "PEM `file` of the authority of its certificate")
	account := flags.String("upgrade-account", "", "`name` of the service account whose rights an upgrade has (default: none is carried out here)")
	room := flags.Int64("upload-room", 0, "`GiB` that all uploads in --uploads may have together (default: 64 each)")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("what is %q? there are no arguments beside the options, which -help lists", flags.Arg(0))
	}
	opts.UploadRoom = *room << 30
	if *account != "" {
		opts.Upgrader = func(config *rest.Config) enterprise.Upgrader { return upgrader.InCluster(config, *account) }
	}
	return opts, nil
}
