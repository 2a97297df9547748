package status

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/mirror/registry"
)

// Options is what is asked. A registry or a vCenter that cannot be reached is
// nil, with the reason: everything else is reported all the same.
type Options struct {
	Site        *site.Site
	Dir         string // the installation's folder on this host
	Registry    *registry.Client
	RegistryErr error
	VCenter     *vsphere.Client
	VCenterErr  error
}

// examination is one look at a site.
type examination struct {
	opts   Options
	found  *Found
	report *Report
	marked int  // machines at vCenter
	asked  bool // vCenter, which said which machines there are
}

// Look says how the installation stands. What is wrong is in the report; the
// error is for a look that was canceled.
func Look(ctx context.Context, opts Options) (*Report, error) {
	r := &Report{Site: opts.Site.Metadata.Name, Cluster: opts.Site.Spec.Cluster.Name}
	x := &examination{opts: opts, found: Find(ctx, opts.Dir, r.Cluster), report: r}
	r.Source = x.found.Place
	if err := x.found.BootstrapErr; err != nil {
		x.problem("no installation runs on this host: %v", err)
	}
	x.readObjects(ctx)
	if x.found.Cluster != nil {
		x.note(x.nodes(ctx))
	}
	x.registryStep(ctx, x.kubernetes())
	x.vcenterSteps(ctx)
	x.clusterSteps()
	x.certificates(ctx)
	r.Phase = x.phase()
	r.Well = r.Phase == Installed && len(r.Problems) == 0
	return r, ctx.Err()
}

func (x *examination) readObjects(ctx context.Context) {
	if x.found.Manager == nil {
		return
	}
	x.note(x.objects(ctx))
	if v := x.kubernetes(); v != "" {
		x.report.Versions = append(x.report.Versions, Version{"kubernetes", v})
	}
	x.note(x.providers(ctx))
}

// kubernetes is the version that the control plane has, or shall have; "" when
// nobody can tell.
func (x *examination) kubernetes() string {
	for _, o := range x.report.Objects {
		if o.Kind == "KubeadmControlPlane" {
			return o.Version
		}
	}
	return x.opts.Site.Spec.Cluster.KubernetesVersion
}

func (x *examination) problem(format string, args ...any) {
	x.report.Problems = append(x.report.Problems, fmt.Sprintf(format, args...))
}

func (x *examination) note(err error) {
	if err != nil {
		x.problem("%v", err)
	}
}

func exists(ctx context.Context, r *registry.Repository, tag string) (bool, error) {
	_, err := r.Resolve(ctx, tag)
	if errors.Is(err, content.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
