package systemconsole

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/web"
)

func (s *Server) tlsPage(w http.ResponseWriter, r *http.Request) error { return s.showTLS(w, r, nil) }

func (s *Server) showTLS(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	p := web.TLSPage{Frame: s.inAdministration(r, "Certificate", problems), Tabs: administrationTabs("/administration/certificate"),
		May: mayChangeSettings(r) && s.opts.CertFile != "", Host: r.PostFormValue("host"), CertText: r.PostFormValue("certificate")}
	if p.Host == "" {
		p.Host = r.Host
		if i := strings.LastIndex(p.Host, ":"); i > 0 {
			p.Host = strings.Trim(p.Host[:i], "[]")
		}
	}
	if s.opts.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.opts.CertFile, s.opts.KeyFile)
		if err != nil {
			return err
		}
		describeCertificate(&p, pair.Leaf)
	}
	return s.web.Render(w, statusFor(problems), p)
}

func describeCertificate(p *web.TLSPage, c *x509.Certificate) {
	p.Subject, p.Expires = c.Subject.String(), c.NotAfter
	p.Hosts = append(p.Hosts, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		p.Hosts = append(p.Hosts, ip.String())
	}
	switch left := time.Until(c.NotAfter); {
	case left <= 0:
		p.Status = web.Status{State: web.Bad, Text: "Expired"}
	case left < 30*24*time.Hour:
		p.Status = web.Status{State: web.Warn, Text: "Expires soon"}
	default:
		p.Status = web.Status{State: web.Good, Text: "Valid"}
	}
}

// saveTLS changes the certificate after address, certificate and key were
// checked together. Serve reads the files with each new connection.
func (s *Server) saveTLS(w http.ResponseWriter, r *http.Request) error {
	if s.opts.CertFile == "" {
		return errUnknown
	}
	host := strings.TrimSpace(r.PostFormValue("host"))
	certificate, key := pemIn(r, "certificate"), pemIn(r, "key")
	if problems := checkPair(host, certificate, key); problems != nil {
		return s.showTLS(w, r, problems)
	}
	err := s.audit.Do(r.Context(), audit.Event{Action: "certificate.change", Object: "Certificate/" + host}, func() error {
		if s.opts.KeepCertificate != nil {
			return s.opts.KeepCertificate(r.Context(), certificate, key)
		}
		// A connection between the two writes finds a pair that does not fit
		// and fails; the browser's next try has the new one.
		if err := durable.WriteFile(s.opts.KeyFile, key, 0o600); err != nil {
			return err
		}
		return durable.WriteFile(s.opts.CertFile, certificate, 0o600)
	})
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/certificate", noticeTLS)
}

// pemIn reads a text of a form with the ends of lines that files have.
func pemIn(r *http.Request, field string) []byte {
	return []byte(strings.ReplaceAll(r.PostFormValue(field), "\r\n", "\n"))
}

func checkPair(host string, certificate, key []byte) form.Problems {
	var p form.Problems
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		p.Add("certificate", "certificate and key do not fit: %s", err)
		return p
	}
	if err := pair.Leaf.VerifyHostname(host); err != nil {
		p.Add("host", "the certificate is not for this address: %s", err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		p.Add("certificate", "the certificate is valid from %s to %s", pair.Leaf.NotBefore.Format(time.DateOnly), pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return p
}
