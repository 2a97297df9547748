// Package incluster runs the console as a workload of the cluster that it
// administers: its objects are custom resources, its master key is a Secret,
// and tenants get their place in the same cluster.
package incluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/kube"
	tenantkube "github.com/sealift/sealift/systemconsole/tenant/kube"
)

// Options say where the console runs. Addr, CertFile and KeyFile are required.
type Options struct {
	systemconsole.ServeOptions
	Namespace  string              // of the objects; empty means sealift-system
	Kubeconfig string              // empty means that of the workload
	MasterKey  string              // name of the Secret; empty means console-master-key
	KMS        seal.TransitOptions // has the master key instead; without an address nothing does
	TLSSecret  string              // name of the Secret that CertFile and KeyFile are mounted from; empty means that pages cannot change it
	URL        string              // of the console in links; see systemconsole.Options
	Uploads    string              // folder that bundles are received in; empty means none
	UploadRoom int64               // bytes of all uploads in it; see systemconsole.Options
	// Upgrader makes what upgrades the cluster, over the account's own way to it;
	// nil means that the console cannot.
	Upgrader func(*rest.Config) enterprise.Upgrader
	Logger   *slog.Logger   // nil means nobody is told
	Level    *slog.LevelVar // of Logger; nil means that it cannot be set
}

// Run serves the console until ctx is done.
func Run(ctx context.Context, opts Options) error {
	if opts.Namespace == "" {
		opts.Namespace = "sealift-system"
	}
	if opts.MasterKey == "" {
		opts.MasterKey = "console-master-key"
	}
	// Without a file this is the service account's.
	config, err := clientcmd.BuildConfigFromFlags("", opts.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	console, err := open(ctx, config, opts)
	if err != nil {
		return err
	}
	return console.Run(ctx, opts.ServeOptions)
}

// open puts the console together.
func open(ctx context.Context, config *rest.Config, opts Options) (*systemconsole.Server, error) {
	store, err := kube.Open(config, opts.Namespace)
	if err != nil {
		return nil, err
	}
	keeper, err := keeperOf(ctx, config, opts)
	if err != nil {
		return nil, err
	}
	places, err := tenantkube.New(config, tenantkube.Options{})
	if err != nil {
		return nil, err
	}
	complete := systemconsole.Options{Store: store, Keeper: keeper, Tenants: places, URL: opts.URL, Logger: opts.Logger, Level: opts.Level,
		Uploads: opts.Uploads, UploadRoom: opts.UploadRoom, CertFile: opts.CertFile, KeyFile: opts.KeyFile, Cluster: clusterOf(config, opts.Namespace)}
	if opts.Upgrader != nil {
		complete.Upgrader = opts.Upgrader(config)
	}
	if complete.KeepCertificate, err = certificateIn(config, opts); err != nil {
		return nil, err
	}
	return systemconsole.New(ctx, complete)
}

// keeperOf returns who has the master key: the key management service, or the
// Secret.
func keeperOf(ctx context.Context, config *rest.Config, opts Options) (seal.Keeper, error) {
	if opts.KMS.Address == "" {
		return kube.MasterKey(ctx, config, opts.Namespace, opts.MasterKey)
	}
	keeper, err := seal.Transit(ctx, opts.KMS)
	if err != nil {
		return nil, err
	}
	return kube.BeforeMasterKey(ctx, config, opts.Namespace, opts.MasterKey, keeper)
}

// clusterOf finds the cluster that the console runs in among the objects beside it.
func clusterOf(config *rest.Config, namespace string) func(context.Context) (enterprise.Source, error) {
	return func(ctx context.Context) (enterprise.Source, error) {
		live, err := enterprise.Connect(ctx, config, enterprise.Options{Namespace: namespace})
		if meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("the cluster has no Cluster API: %w", enterprise.ErrNotFound)
		}
		return live, err
	}
}

// certificateIn keeps certificates in the Secret; the files, which are mounted
// from there, cannot be written. All replicas have it about a minute later.
func certificateIn(config *rest.Config, opts Options) (func(ctx context.Context, certificate, key []byte) error, error) {
	refuse := func(context.Context, []byte, []byte) error {
		return problem.New(problem.Usage, "name the Secret with --tls-secret", "the console's certificate is kept in no Secret that it knows")
	}
	if opts.TLSSecret == "" {
		return refuse, nil
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	secrets := client.CoreV1().Secrets(opts.Namespace)
	return func(ctx context.Context, certificate, key []byte) error {
		data := map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}
		patch, err := json.Marshal(map[string]any{"data": data})
		if err == nil {
			_, err = secrets.Patch(ctx, opts.TLSSecret, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: kube.Manager})
		}
		if err != nil {
			return fmt.Errorf("keeping the certificate in Secret %s/%s: %w", opts.Namespace, opts.TLSSecret, err)
		}
		return nil
	}, nil
}
