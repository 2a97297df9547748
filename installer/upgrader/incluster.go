package upgrader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/internal/problem"
)

// ErrNoRecord means: the cluster does not keep what it was made from.
var ErrNoRecord = errors.New("the cluster does not keep what it was made from")

// tokenSeconds is how long the rights to upgrade last: longer than an upgrade.
const tokenSeconds = 24 * 60 * 60

// InCluster upgrades the cluster that this process runs in, from bundles in the
// site's registry. config is of an account that may read the record of the
// installation and may ask for a token of the service account named account,
// whose rights an upgrade needs; they are had for as long as it lasts. It is
// called once, when the process starts.
func InCluster(config *rest.Config, account string) *Upgrader {
	sweep()
	return New(Options{Enter: func(ctx context.Context) (*Surroundings, func() error, error) {
		dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folders, os.Getpid()))
		if err != nil {
			return nil, nil, fmt.Errorf("making a folder for the upgrade: %w", err)
		}
		leave := func() error { return os.RemoveAll(dir) }
		s, err := enter(ctx, config, account, dir)
		if err != nil {
			return nil, nil, errors.Join(err, leave())
		}
		return s, leave, nil
	}})
}

// folders begins the names of the folders that logins are unpacked into; the id
// of the process follows.
const folders = "sealift-upgrade-"

// sweep removes the folders of processes that were killed. One with the id of
// this process is of the one before, in a container that was started again.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), folders+"*")) // the pattern is good
	for _, dir := range left {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folders), "-")
		pid, err := strconv.Atoi(id)
		if err == nil && (pid == os.Getpid() || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)) {
			_ = os.RemoveAll(dir) // the next start tries again
		}
	}
}

// enter unpacks the record of the installation into a folder.
func enter(ctx context.Context, config *rest.Config, account, dir string) (*Surroundings, error) {
	config = rest.CopyConfig(config)
	clusterapi.Mark(config)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	record, err := client.CoreV1().Secrets(clusterapi.Namespace).Get(ctx, steps.RecordSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, problem.New(problem.Failed, "run sealift upgrade once on the host of the installation: it keeps what is needed here", "%w", ErrNoRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what the cluster was made from: %w", err)
	}
	for name, data := range record.Data {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o600); err != nil {
			return nil, fmt.Errorf("unpacking what the cluster was made from: %w", err)
		}
	}
	if err := writeKubeconfig(ctx, client, config, account, filepath.Join(dir, steps.KubeconfigFile)); err != nil {
		return nil, err
	}
	s := &Surroundings{Dir: dir}
	if s.Site, err = site.Load(filepath.Join(dir, site.SiteFile)); err != nil {
		return nil, err
	}
	if s.VCenter, err = s.Site.VCenterLogin(site.LoginOptions{}); err != nil {
		return nil, err
	}
	if s.Registry, err = s.Site.RegistryLogin(site.LoginOptions{}); err != nil {
		return nil, err
	}
	s.Verifier, err = sign.NewVerifier(ctx, filepath.Join(dir, steps.RecordKey))
	return s, err
}

// writeKubeconfig writes the way to the cluster with the rights of an account.
func writeKubeconfig(ctx context.Context, client kubernetes.Interface, config *rest.Config, account, file string) error {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenSeconds))}}
	token, err := client.CoreV1().ServiceAccounts(clusterapi.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return problem.New(problem.Failed, "set upgrades.enabled in the console's chart, or run sealift upgrade on the host of the installation", "asking for the rights to upgrade: %w", err)
	}
	if err != nil {
		return fmt.Errorf("asking for the rights to upgrade: %w", err)
	}
	config = rest.CopyConfig(config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	c := api.NewConfig()
	c.Clusters["own"] = &api.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData, InsecureSkipTLSVerify: config.Insecure}
	c.AuthInfos["own"] = &api.AuthInfo{Token: token.Status.Token}
	c.Contexts["own"] = &api.Context{Cluster: "own", AuthInfo: "own"}
	c.CurrentContext = "own"
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		return fmt.Errorf("writing the kubeconfig of the upgrade: %w", err)
	}
	return nil
}
