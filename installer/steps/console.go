package steps

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
)

// console installs the system console with Helm, and its certificate before.
type console struct{ *Installation }

// What the console is called in the cluster.
const (
	consoleName   = "systemconsole"
	consoleSecret = "systemconsole-tls"
	consolePort   = 30443
)

// consoleWait is how long the replicas may take to be ready.
const consoleWait = 5 * time.Minute

// consoleKey names the Deployment of the console's chart.
func consoleKey() client.ObjectKey {
	return client.ObjectKey{Namespace: clusterapi.Namespace, Name: consoleName}
}

// certificateLife is how long the certificate of the console is good.
const certificateLife = 365 * 24 * time.Hour

// Name implements step.Step.
func (*console) Name() string { return "install the system console" }

// Check implements step.Step.
func (s *console) Check(ctx context.Context) (step.Status, error) {
	if s.Release.Spec.Console.Chart == "" {
		return step.Status{Done: true, Detail: "the release has none"}, nil
	}
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no cluster yet"}, err
	}
	r, there, _, err := s.wanted(ctx)
	if there == nil || err != nil {
		return step.Status{Detail: "it is not installed"}, err
	}
	detail := "chart " + there.Chart.Metadata.Version + " is " + string(there.Info.Status)
	if !r.is(there) {
		return step.Status{Detail: detail}, nil
	}
	if pair, err := s.certificateFor(ctx, own); err != nil || pair != nil {
		return step.Status{Detail: "its certificate is to be renewed"}, err
	}
	replicas, err := own.Workload(ctx, consoleKey())
	return step.Status{Done: err == nil && replicas.Done(), Detail: detail + ", " + replicas.String()}, client.IgnoreNotFound(err)
}

// Apply implements step.Step.
func (s *console) Apply(ctx context.Context, say step.Say) error {
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	r, there, _, err := s.wanted(ctx)
	if err != nil {
		return err
	}
	if err := s.ensureCertificate(ctx, own); err != nil {
		return err
	}
	// Somebody may have removed what the chart made.
	if _, err := own.Workload(ctx, consoleKey()); !r.is(there) || apierrors.IsNotFound(err) {
		say("chart %s %s", r.chart.Name(), r.chart.Metadata.Version)
		if err := s.applyChart(ctx, own, r); err != nil {
			return err
		}
	}
	// Helm would be content with one replica less than there shall be: with none of one.
	ctx, cancel := context.WithTimeoutCause(ctx, consoleWait, fmt.Errorf("it was not ready within %s", consoleWait))
	defer cancel()
	return own.WaitWorkload(ctx, consoleKey(), say)
}

// Plan implements step.Planner.
func (s *console) Plan(context.Context) (step.Plan, error) {
	if s.Release.Spec.Console.Chart == "" {
		return step.Plan{}, nil
	}
	return step.Plan{Actions: []string{fmt.Sprintf("install chart %s as %s in %s, at %s", s.Release.Spec.Console.Chart, consoleName, clusterapi.Namespace, s.ConsoleURL())}}, nil
}

// ConsoleURL is the address of the console; "" when the release has none.
func (in *Installation) ConsoleURL() string {
	if in.Release.Spec.Console.Chart == "" {
		return ""
	}
	return consoleURL(in.Site)
}

func consoleURL(of *site.Site) string {
	return "https://" + net.JoinHostPort(of.Spec.Console.Hostname, strconv.Itoa(consolePort))
}

// chart is the console's chart, without values.
func (s *console) chart(ctx context.Context) (r chartRelease, err error) {
	data, err := s.Release.Chart(ctx)
	if err != nil {
		return r, err
	}
	r = chartRelease{name: consoleName, namespace: clusterapi.Namespace}
	if r.chart, err = loadChart(s.Release.Spec.Console.Chart, data); err != nil {
		return r, err
	}
	return r, nil
}

// wanted is the chart with the values that it shall have, what is installed of
// it (nil when nothing is), and the values that differ.
func (s *console) wanted(ctx context.Context) (r chartRelease, there *helm.Release, settings []upgrade.Setting, err error) {
	if r, err = s.chart(ctx); err != nil {
		return r, nil, nil, err
	}
	if there, err = s.installed(r); err != nil {
		return r, nil, nil, err
	}
	set, settings, err := s.values(ctx, r.chart, there)
	if err != nil {
		return r, there, nil, err
	}
	r.values, err = asJSON(set)
	return r, there, settings, err
}

// siteValues are what a site changes of the chart's values.
func (s *console) siteValues(of *site.Site) map[string]any {
	return map[string]any{
		"replicas": of.Spec.Cluster.ControlPlane.Replicas, "url": consoleURL(of), "tlsSecret": consoleSecret,
		"service": map[string]any{"type": "NodePort", "nodePort": consolePort},
	}
}

// ensureCertificate writes the certificate that the console shall have.
func (s *console) ensureCertificate(ctx context.Context, own *clusterapi.Management) error {
	pair, err := s.certificateFor(ctx, own)
	if pair == nil || err != nil {
		return err
	}
	return own.ApplyObjects(ctx, []*unstructured.Unstructured{secret(clusterapi.Namespace, consoleSecret, string(corev1.SecretTypeTLS),
		map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key})})
}

// certificateFor returns the certificate that the console shall have instead of
// the one that is there; nil where that stays. The site's takes the place of an
// older one, and a new one that of a certificate that was made here and is near
// its end: what administrators gave the console since stays.
func (s *console) certificateFor(ctx context.Context, own *clusterapi.Management) (*authority.Pair, error) {
	there := &corev1.Secret{}
	err := own.Get(ctx, client.ObjectKey{Namespace: clusterapi.Namespace, Name: consoleSecret}, there)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the console's certificate: %w", err)
	}
	has, _ := authority.Certificate(there.Data[corev1.TLSCertKey]) // nil when there is none that can be read
	madeHere := has != nil && has.Issuer.CommonName == s.authorityName()
	if has != nil && s.Site.Spec.Console.TLS.CertFile == "" && (!madeHere || !authority.Expiring(has, time.Now())) {
		return nil, nil //nolint:nilnil // it stays
	}
	pair, err := s.certificate()
	if err != nil {
		return nil, err
	}
	wants, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, problem.New(problem.Usage, "give certificate and key of one pair, PEM, in spec.console.tls", "the console's certificate: %w", err)
	}
	if has != nil && !madeHere && !wants.Leaf.NotBefore.After(has.NotBefore) {
		return nil, nil //nolint:nilnil // it stays
	}
	return &pair, nil
}

// authorityName is the name of the authority that is made for the console.
func (s *console) authorityName() string { return "sealift console " + s.Site.Metadata.Name }

// certificate reads the site's, or makes one.
func (s *console) certificate() (pair authority.Pair, err error) {
	files, hostname := s.Site.Spec.Console.TLS, s.Site.Spec.Console.Hostname
	if files.CertFile != "" {
		if pair.Certificate, err = content.ReadFile(s.Site.Path(files.CertFile), maxAuthority); err != nil {
			return pair, fmt.Errorf("reading the console's certificate: %w", err)
		}
		if pair.Key, err = content.ReadFile(s.Site.Path(files.KeyFile), maxAuthority); err != nil {
			return pair, fmt.Errorf("reading the key of the console's certificate: %w", err)
		}
		return pair, nil
	}
	ca, err := authority.New(s.authorityName(), certificateLife)
	if err != nil {
		return pair, err
	}
	leaf := authority.Leaf{Name: hostname, Validity: certificateLife, IPs: []net.IP{net.ParseIP(s.Site.Spec.Network.ControlPlaneEndpoint)}}
	if net.ParseIP(hostname) == nil {
		leaf.DNSNames = []string{hostname}
	}
	if pair, err = ca.Issue(leaf); err != nil {
		return pair, err
	}
	pair.Certificate = append(pair.Certificate, ca.Pair().Certificate...)
	return pair, nil
}
