package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/authority"
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

// How long things of the console last.
const (
	consoleTimeout  = 5 * time.Minute
	certificateLife = 365 * 24 * time.Hour
)

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
	ch, err := s.chart(ctx)
	if err != nil {
		return step.Status{}, err
	}
	there, err := s.deployed()
	if err != nil {
		return step.Status{}, err
	}
	if there == nil {
		return step.Status{Detail: "it is not installed"}, nil
	}
	same, err := s.same(ctx, ch, there)
	done := same && there.Info.Status == release.StatusDeployed && there.Chart.Metadata.Version == ch.Metadata.Version
	return step.Status{Done: done, Detail: "chart " + there.Chart.Metadata.Version + " is " + string(there.Info.Status)}, err
}

// same tells whether a release has the values that the chart shall have.
func (s *console) same(ctx context.Context, ch *chart.Chart, there *release.Release) (bool, error) {
	set, _, err := s.values(ctx, ch, there)
	if err != nil {
		return false, err
	}
	wanted, err := effective(ch, set)
	if err != nil {
		return false, err
	}
	now, err := effective(there.Chart, there.Config)
	if err != nil {
		return false, err
	}
	differences, err := upgrade.Compare(now, wanted, wanted)
	return len(differences) == 0, err
}

// Apply implements step.Step.
func (s *console) Apply(ctx context.Context, say step.Say) error {
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	ch, err := s.chart(ctx)
	if err != nil {
		return err
	}
	say("the kinds of its objects")
	if err := s.applyKinds(ctx, own, ch); err != nil {
		return err
	}
	if err := s.ensureCertificate(ctx, own); err != nil {
		return err
	}
	say("chart %s %s", ch.Name(), ch.Metadata.Version)
	return s.upgrade(ctx, ch)
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
	return fmt.Sprintf("https://%s:%d", of.Spec.Console.Hostname, consolePort)
}

func (s *console) chart(ctx context.Context) (*chart.Chart, error) {
	data, err := s.Release.Chart(ctx)
	if err != nil {
		return nil, err
	}
	ch, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", s.Release.Spec.Console.Chart, err)
	}
	return ch, nil
}

// siteValues are what a site changes of the chart's values.
func (s *console) siteValues(of *site.Site) map[string]any {
	return map[string]any{
		"replicas": of.Spec.Cluster.ControlPlane.Replicas, "url": consoleURL(of), "tlsSecret": consoleSecret,
		"service": map[string]any{"type": "NodePort", "nodePort": consolePort},
	}
}

// applyKinds applies the definitions that the chart carries: Helm itself would
// never bring them to a newer version.
func (s *console) applyKinds(ctx context.Context, own *clusterapi.Management, ch *chart.Chart) error {
	var kinds []*unstructured.Unstructured
	for _, crd := range ch.CRDObjects() {
		objects, err := clusterapi.ParseManifests(crd.File.Data)
		if err != nil {
			return fmt.Errorf("%s of the chart: %w", crd.Filename, err)
		}
		kinds = append(kinds, objects...)
	}
	return own.ApplyObjects(ctx, kinds)
}

// ensureCertificate writes the certificate of the site, or one of an authority
// made for it, unless there is one.
func (s *console) ensureCertificate(ctx context.Context, own *clusterapi.Management) error {
	tls := s.Site.Spec.Console.TLS
	if tls.CertFile == "" {
		err := own.Get(ctx, client.ObjectKey{Namespace: clusterapi.Namespace, Name: consoleSecret}, &corev1.Secret{})
		if err == nil || !apierrors.IsNotFound(err) {
			return err
		}
	}
	pair, err := s.certificate()
	if err != nil {
		return err
	}
	return own.ApplyObjects(ctx, []*unstructured.Unstructured{secret(clusterapi.Namespace, consoleSecret, string(corev1.SecretTypeTLS),
		map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key})})
}

// certificate reads the site's, or makes one.
func (s *console) certificate() (pair authority.Pair, err error) {
	tls, hostname := s.Site.Spec.Console.TLS, s.Site.Spec.Console.Hostname
	if tls.CertFile != "" {
		if pair.Certificate, err = content.ReadFile(s.Site.Path(tls.CertFile), maxAuthority); err != nil {
			return pair, fmt.Errorf("reading the console's certificate: %w", err)
		}
		if pair.Key, err = content.ReadFile(s.Site.Path(tls.KeyFile), maxAuthority); err != nil {
			return pair, fmt.Errorf("reading the key of the console's certificate: %w", err)
		}
		return pair, nil
	}
	ca, err := authority.New("sealift console "+s.Site.Metadata.Name, certificateLife)
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

// helm is Helm's view of the cluster.
func (s *console) helm() (*action.Configuration, error) {
	flags := genericclioptions.NewConfigFlags(false)
	path, namespace := s.Kubeconfig(), clusterapi.Namespace
	flags.KubeConfig, flags.Namespace = &path, &namespace
	config := &action.Configuration{}
	if err := config.Init(flags, namespace, "secret", func(string, ...any) {}); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	return config, nil
}

// upgrade installs the chart, or brings it to this version. What an
// interrupted run left pending is taken back first.
func (s *console) upgrade(ctx context.Context, ch *chart.Chart) error {
	config, err := s.helm()
	if err != nil {
		return err
	}
	last, err := config.Releases.Last(consoleName)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		return s.install(ctx, config, ch)
	case err != nil:
		return fmt.Errorf("asking for the console's release: %w", err)
	case last.Info.Status.IsPending() || last.Version == 1 && last.Info.Status == release.StatusFailed:
		if _, err := config.Releases.Delete(consoleName, last.Version); err != nil {
			return fmt.Errorf("forgetting the interrupted release of the console: %w", err)
		}
		return s.upgrade(ctx, ch)
	}
	set, _, err := s.values(ctx, ch, last)
	if err != nil {
		return err
	}
	run := action.NewUpgrade(config)
	run.Namespace, run.Wait, run.Timeout, run.ResetValues = clusterapi.Namespace, true, consoleTimeout, true
	if _, err := run.RunWithContext(ctx, consoleName, ch, set); err != nil {
		return fmt.Errorf("upgrading the console: %w", err)
	}
	return nil
}

func (s *console) install(ctx context.Context, config *action.Configuration, ch *chart.Chart) error {
	set, _, err := s.values(ctx, ch, nil)
	if err != nil {
		return err
	}
	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = consoleName, clusterapi.Namespace, true
	// An earlier run may have got as far as making objects: they are taken over.
	install.TakeOwnership, install.SkipCRDs, install.Wait, install.Timeout = true, true, true, consoleTimeout
	if _, err := install.RunWithContext(ctx, ch, set); err != nil {
		return fmt.Errorf("installing the console: %w", err)
	}
	return nil
}
