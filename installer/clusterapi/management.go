package clusterapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/cluster-api/cmd/clusterctl/client/cluster"
	"sigs.k8s.io/cluster-api/cmd/clusterctl/client/config"
	"sigs.k8s.io/cluster-api/cmd/clusterctl/client/repository"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
)

// owner is the name under which fields are set.
const owner = client.FieldOwner("sealift")

// Management is a cluster that holds, or shall hold, objects of Cluster API.
type Management struct {
	client.Client
	// Kubeconfig is the path of its administrator's kubeconfig.
	Kubeconfig string

	rest       *rest.Config
	clusterctl cluster.Client
}

// ErrNoRepositories means: clusterctl wanted to fetch something from elsewhere.
var ErrNoRepositories = errors.New("providers come from the bundle and from nowhere else")

// Connect returns the management cluster of a kubeconfig. Nothing is asked yet
// but the API server's kinds.
func Connect(ctx context.Context, kubeconfig string) (*Management, error) {
	restConfig, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	// The API server limits itself; a client's own limit is for controllers.
	restConfig.QPS = -1
	Mark(restConfig)
	// clusterctl and client-go log through these, between the lines of a list of
	// steps; controller-runtime's complains where nobody listens.
	crlog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", restConfig.Host, err)
	}
	// A reader of our own: clusterctl's would look for a file in the home folder
	// and know the repositories of all providers at GitHub.
	settings, err := config.New(ctx, "", config.InjectReader(config.NewMemoryReader()))
	if err != nil {
		return nil, fmt.Errorf("preparing clusterctl: %w", err)
	}
	ctl := cluster.New(cluster.Kubeconfig{Path: kubeconfig}, settings, cluster.InjectRepositoryFactory(noRepositories))
	return &Management{Client: c, Kubeconfig: kubeconfig, rest: restConfig, clusterctl: ctl}, nil
}

func noRepositories(_ context.Context, p config.Provider, _ config.Client, _ ...repository.Option) (repository.Client, error) {
	return nil, fmt.Errorf("provider %s: %w", p.Name(), ErrNoRepositories)
}

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	err := errors.Join(clientgoscheme.AddToScheme(s), clusterv1.AddToScheme(s), bootstrapv1.AddToScheme(s),
		controlplanev1.AddToScheme(s), clusterctlv1.AddToScheme(s))
	if err != nil {
		return nil, fmt.Errorf("collecting the kinds of Cluster API: %w", err)
	}
	return s, nil
}
