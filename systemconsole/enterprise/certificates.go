package enterprise

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// certificates finds what expires: the certificates of each control-plane
// machine as the machine itself tells, and those in Secrets beside the cluster.
func (l *Live) certificates(ctx context.Context, o *objects) ([]Certificate, error) {
	var out []Certificate
	for _, m := range o.machines.Items {
		if at := m.Status.CertificatesExpiryDate; !at.IsZero() {
			out = append(out, l.certificate("Kubernetes on "+m.Name, "Machine/"+m.Name, at.Time))
		}
	}
	var secrets corev1.SecretList
	if err := l.client.List(ctx, &secrets, client.InNamespace(l.namespace)); err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	for _, s := range secrets.Items {
		if at, ok := expiry(s.Data[corev1.TLSCertKey]); ok {
			out = append(out, l.certificate(s.Name, "Secret/"+s.Name, at))
		}
	}
	slices.SortFunc(out, func(a, b Certificate) int { return a.Expires.Compare(b.Expires) })
	return out, nil
}

func (l *Live) certificate(name, holder string, at time.Time) Certificate {
	c := Certificate{Name: name, Holder: holder, Expires: at, Status: Status{Good, "Valid"}}
	left := time.Until(at)
	switch {
	case left <= 0:
		c.Status = Status{Bad, "Expired " + humanize.Time(at)}
	case left < l.thresholds.CertificateBad:
		c.Status = Status{Bad, "Expires " + humanize.Time(at)}
	case left < l.thresholds.CertificateWarn:
		c.Status = Status{Warn, "Expires " + humanize.Time(at)}
	}
	return c
}

// expiry returns the end of the first certificate of a PEM text.
func expiry(text []byte) (time.Time, bool) {
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return c.NotAfter, true
}
