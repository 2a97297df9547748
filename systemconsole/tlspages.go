package systemconsole

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

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
	leaf, err := s.certificate()
	if err != nil && !errors.Is(err, errUnknown) {
		return err
	}
	if err == nil {
		describeCertificate(&p, leaf)
	}
	return s.web.Render(w, statusFor(problems), p)
}

// certificate returns the console's certificate, or errUnknown where pages do
// not know its files.
func (s *Server) certificate() (*x509.Certificate, error) {
	if s.opts.CertFile == "" {
		return nil, errUnknown
	}
	pair, err := tls.LoadX509KeyPair(s.opts.CertFile, s.opts.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the console's certificate: %w", err)
	}
	return pair.Leaf, nil
}

// hostsOf lists the names and addresses that a certificate is for.
func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func describeCertificate(p *web.TLSPage, c *x509.Certificate) {
	p.Subject, p.Expires, p.Hosts = c.Subject.String(), c.NotAfter, hostsOf(c)
	switch left := time.Until(c.NotAfter); {
	case left <= 0:
		p.Status = web.Status{State: web.Bad, Text: "Expired"}
	case left < 30*24*time.Hour:
		p.Status = web.Status{State: web.Warn, Text: "Expires soon"}
	default:
		p.Status = web.Status{State: web.Good, Text: "Valid"}
	}
}

func (s *Server) saveTLS(w http.ResponseWriter, r *http.Request) error {
	err := s.setCertificate(r.Context(), textIn(r, "host"), pemIn(r, "certificate"), pemIn(r, "key"))
	if problems := problemsOf(err); problems != nil {
		return s.showTLS(w, r, problems)
	}
	if err != nil {
		return err
	}
	notice := noticeTLS
	if s.opts.KeepCertificate != nil {
		notice = noticeTLSKept
	}
	return seeNotice(w, r, "/administration/certificate", notice)
}

// setCertificate changes the certificate after address, certificate and key
// were checked together. Serve reads the files with each new connection.
func (s *Server) setCertificate(ctx context.Context, host string, certificate, key []byte) error {
	if s.opts.CertFile == "" {
		return errUnknown
	}
	after, err := checkPair(host, certificate, key)
	if err != nil {
		return err
	}
	e := audit.Event{Action: "certificate.change", Object: "Certificate/" + host, After: shownCertificate(after)}
	if before, err := s.certificate(); err == nil {
		e.Before = shownCertificate(before)
	}
	return s.audit.Do(ctx, e, func() error {
		if s.opts.KeepCertificate != nil {
			return s.opts.KeepCertificate(ctx, certificate, key)
		}
		return replacePair(s.opts.CertFile, s.opts.KeyFile, pair{certificate, key})
	})
}

// shownCertificate is what the record of changes shows of a certificate.
func shownCertificate(c *x509.Certificate) any {
	sum := sha256.Sum256(c.Raw)
	return struct {
		Subject, Expires, SHA256 string
		Hosts                    []string
	}{c.Subject.String(), c.NotAfter.UTC().Format(time.RFC3339), hex.EncodeToString(sum[:]), hostsOf(c)}
}

// pemIn reads a text of a form with the ends of lines that files have.
func pemIn(r *http.Request, field string) []byte {
	return []byte(strings.ReplaceAll(r.PostFormValue(field), "\r\n", "\n"))
}

// checkPair returns a certificate that is good for an address now and fits its
// key, or form.Problems.
func checkPair(host string, certificate, key []byte) (*x509.Certificate, error) {
	var p form.Problems
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		p.Add("certificate", "certificate and key do not fit: %s", err)
		return nil, p
	}
	if err := pair.Leaf.VerifyHostname(host); err != nil {
		p.Add("host", "the certificate is not for this address: %s", err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		p.Add("certificate", "the certificate is valid from %s to %s", pair.Leaf.NotBefore.Format(time.DateOnly), pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return pair.Leaf, p.Err()
}
