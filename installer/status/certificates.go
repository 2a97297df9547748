package status

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/vsphere"
)

// soon is how long before its end a certificate is a problem. Kubeadm's last a
// year, and an upgrade renews them.
const soon = 30 * 24 * time.Hour

func (x *examination) certificate(of string, expires time.Time) {
	x.report.Certificates = append(x.report.Certificates, Certificate{of, expires.UTC()})
	switch left := time.Until(expires); {
	case left <= 0:
		x.problem("the certificate of %s has expired on %s", of, expires.UTC().Format(time.DateOnly))
	case left < soon:
		x.problem("the certificate of %s expires on %s", of, expires.UTC().Format(time.DateOnly))
	}
}

// certificates reads those of the servers, of the administrator, and of the
// cluster's webhooks.
func (x *examination) certificates(ctx context.Context) {
	s := x.opts.Site.Spec
	x.served(ctx, "vCenter", vsphere.Address(s.VCenter.Server))
	if !s.Registry.PlainHTTP {
		x.served(ctx, "registry", vsphere.Address(s.Registry.Endpoint))
	}
	if x.found.Cluster != nil || x.found.ClusterErr != nil { // an expired one does not let in
		x.administrator()
	}
	if x.found.Cluster != nil {
		x.served(ctx, "API server", s.Network.APIServer())
		x.console(ctx)
		x.note(x.webhooks(ctx))
	}
	slices.SortStableFunc(x.report.Certificates, func(a, b Certificate) int { return cmp.Compare(a.Expires.Unix(), b.Expires.Unix()) })
}

// served asks a server for its certificate. Whether it is trusted is preflight's
// question: here an expired one has to show, too.
func (x *examination) served(ctx context.Context, of, address string) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: reachTimeout}, Config: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return // its step says that it does not answer
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	if c, ok := conn.(*tls.Conn); ok && len(c.ConnectionState().PeerCertificates) > 0 {
		x.certificate(of, c.ConnectionState().PeerCertificates[0].NotAfter)
	}
}

// consolePort is the port of the nodes on which the console answers.
const consolePort = "30443"

// console asks the console, where the release has one.
func (x *examination) console(ctx context.Context) {
	x.served(ctx, "console", net.JoinHostPort(x.opts.Site.Spec.Network.ControlPlaneEndpoint, consolePort))
}

// administrator reads the kubeconfig's certificate.
func (x *examination) administrator() {
	config, err := clientcmd.LoadFromFile(filepath.Join(x.opts.Dir, "kubeconfig"))
	if err != nil {
		x.note(err)
		return
	}
	for _, user := range config.AuthInfos {
		if cert := first(user.ClientCertificateData); cert != nil {
			x.certificate("administrator's kubeconfig", cert.NotAfter)
		}
	}
}

// webhooks reads the certificates in the namespaces of the cluster.
func (x *examination) webhooks(ctx context.Context) error {
	list := &corev1.SecretList{}
	if err := x.found.Cluster.List(ctx, list, client.MatchingFields{"type": string(corev1.SecretTypeTLS)}); err != nil {
		return err
	}
	for _, s := range list.Items {
		if cert := first(s.Data[corev1.TLSCertKey]); cert != nil {
			x.certificate(s.Namespace+"/"+s.Name, cert.NotAfter)
		}
	}
	return nil
}

// machineCertificate notes when the certificates of a control plane's machine end.
func (x *examination) machineCertificate(u *unstructured.Unstructured) {
	text, _, _ := unstructured.NestedString(u.Object, "status", "certificatesExpiryDate")
	if expires, err := time.Parse(time.RFC3339, text); err == nil {
		x.certificate("machine "+u.GetName(), expires)
	}
}

// first returns the first certificate of a PEM file; nil when there is none.
func first(data []byte) *x509.Certificate {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}
