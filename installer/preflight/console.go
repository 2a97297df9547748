package preflight

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/sealift/sealift/bundles/content"
)

// maxCertificate is the largest file of a certificate or a key, in bytes, that is read.
const maxCertificate = 1 << 20

func (e *examination) consoleChecks() []check {
	return []check{{name: "console-certificate", run: e.consoleCertificate}}
}

// consoleCertificate looks at the certificate that the site has for the console:
// it is needed at the very end of an installation.
func (e *examination) consoleCertificate(context.Context) finding {
	c := e.site.Spec.Console
	if c.TLS.CertFile == "" {
		return skipped("spec.console.tls names none: one is made")
	}
	remedy := inSite("give certificate and key of one pair, PEM: spec.console.tls")
	var files [2][]byte
	for i, name := range []string{c.TLS.CertFile, c.TLS.KeyFile} {
		var err error
		if files[i], err = content.ReadFile(e.site.Path(name), maxCertificate); err != nil {
			return failed(remedy, "%v", err)
		}
	}
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return failed(remedy, "%s and %s: %v", c.TLS.CertFile, c.TLS.KeyFile, err)
	}
	until := pair.Leaf.NotAfter.UTC().Format(time.DateOnly)
	name := pair.Leaf.VerifyHostname(c.Hostname)
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0:
		return failed("renew it; compare this host's clock first", "%s has expired on %s", c.TLS.CertFile, until)
	case name != nil:
		return failed("get one for the name, or write one that it has: spec.console.hostname", "%s: %v", c.TLS.CertFile, name)
	case left < soon:
		return warning("renew it", "%s fits %s, but it ends on %s", c.TLS.CertFile, c.Hostname, until)
	}
	return ok("%s fits %s, until %s", c.TLS.CertFile, c.Hostname, until)
}
