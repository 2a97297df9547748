// Package flags is the flags that both ways of running a console have: in the
// cluster, whose program has those of the standard library, and on a host, as a
// command of sealift.
package flags

import (
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/seal"
)

// Set is a set of flags: that of the standard library, or of pflag.
type Set interface {
	StringVar(p *string, name, value, usage string)
}

// Console is what the flags say. What it has before they are read is what holds
// without them.
type Console struct {
	systemconsole.ServeOptions
	URL        string              // of the console in links; see systemconsole.Options
	Kubeconfig string              // of the enterprise cluster
	KMS        seal.TransitOptions // has the master key; without an address nothing does
}

// Words is what the flags' texts say differently where a console runs.
type Words struct {
	Kubeconfig string // what holds without the file
	MasterKey  string // what has the master key without a service
}

// AddTo adds the flags.
func (c *Console) AddTo(set Set, words Words) {
	set.StringVar(&c.Addr, "addr", c.Addr, "`HOST:PORT` to listen on; port 0 takes a free one")
	set.StringVar(&c.CertFile, "tls-cert", c.CertFile, "PEM `file` of the certificate; it is read again when it was renewed")
	set.StringVar(&c.KeyFile, "tls-key", c.KeyFile, "PEM `file` of the certificate's key")
	set.StringVar(&c.URL, "url", c.URL, "https:// `address` in links that are sent to people; default the one of the request")
	set.StringVar(&c.Kubeconfig, "kubeconfig", c.Kubeconfig, "`file` with the way to the enterprise cluster ("+words.Kubeconfig+")")
	AddKMS(set, &c.KMS, words.MasterKey)
}

// AddKMS adds the flags of the service that has the master key; without says
// what has it else.
func AddKMS(set Set, kms *seal.TransitOptions, without string) {
	set.StringVar(&kms.Address, "kms-address", kms.Address, "https:// `address` of a Vault or OpenBao whose transit engine has the master key (default: "+without+" has it)")
	set.StringVar(&kms.Key, "kms-key", "sealift", "`name` of the key in the transit engine")
	set.StringVar(&kms.Mount, "kms-mount", "transit", "`path` at which the transit engine is mounted")
	set.StringVar(&kms.Namespace, "kms-namespace", kms.Namespace, "`namespace` of the key management service")
	set.StringVar(&kms.TokenFile, "kms-token-file", kms.TokenFile, "`file` with the token for it; it is read for each request")
	set.StringVar(&kms.CA, "kms-ca", kms.CA, "PEM `file` of the authority of its certificate")
}
