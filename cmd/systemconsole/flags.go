package main

import (
	"flag"

	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/incluster"
)

var _ enterprise.Upgrader = (*upgrader.Upgrader)(nil)

// flags reads the command line.
func flags() incluster.Options {
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
	account := flag.String("upgrade-account", "", "`name` of the service account whose rights an upgrade has (default: none is carried out here)")
	room := flag.Int64("upload-room", 0, "`GiB` that all uploads in --uploads may have together (default: 64 each)")
	flag.Parse()
	opts.UploadRoom = *room << 30
	if *account != "" {
		opts.Upgrader = func(config *rest.Config) enterprise.Upgrader { return upgrader.InCluster(config, *account) }
	}
	return opts
}
