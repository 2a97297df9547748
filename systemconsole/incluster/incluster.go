// Package incluster runs the console as a workload of the cluster that it
// administers: its objects are custom resources, its master key is a Secret,
// and tenants get their place in the same cluster.
package incluster

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/store/kube"
	tenantkube "github.com/sealift/sealift/systemconsole/tenant/kube"
)

// Options say where the console runs. Addr, CertFile and KeyFile are required.
type Options struct {
	systemconsole.ServeOptions
	Namespace  string       // of the objects; empty means sealift-system
	Kubeconfig string       // empty means that of the workload
	MasterKey  string       // name of the Secret; empty means console-master-key
	URL        string       // of the console in links; see systemconsole.Options
	Logger     *slog.Logger // nil means nobody is told
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
	keeper, err := kube.MasterKey(ctx, config, opts.Namespace, opts.MasterKey)
	if err != nil {
		return nil, err
	}
	places, err := tenantkube.New(config, tenantkube.Options{})
	if err != nil {
		return nil, err
	}
	return systemconsole.New(ctx, systemconsole.Options{Store: store, Keeper: keeper, Tenants: places, URL: opts.URL, Logger: opts.Logger})
}
