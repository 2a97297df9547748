package steps

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/runtimeconfig"
)

// newBootstrap returns the bootstrap control plane that the site asks for.
func (in *Installation) newBootstrap() (bootstrap.Bootstrap, error) {
	dir, images := filepath.Join(in.Dir, "bootstrap"), in.Release.Spec.Images
	if in.Site.Spec.Bootstrap == site.BootstrapKind {
		return in.newKind(dir, images.KindNode)
	}
	in.local = bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Etcd: images.Etcd, APIServer: images.APIServer,
		Programs: bootstrap.NewImagePrograms(in.Release.Fetcher(), in.Release.Descriptors(), filepath.Join(dir, "bin"))})
	return in.local, nil
}

// newKind returns a kind cluster whose node comes from the bundle and pulls from
// the site's registry.
func (in *Installation) newKind(dir, image string) (bootstrap.Bootstrap, error) {
	if image == "" {
		return nil, problem.New(problem.Preflight, "use bootstrap: local, or a bundle whose release names kindNode", "the release has no node image for bootstrap: kind")
	}
	descriptor, err := in.Release.Image(image)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(in.Dir, "kind") // of the node, as far as the installer writes its files
	if err := in.writeMirror(root); err != nil {
		return nil, err
	}
	return bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-" + in.Site.Metadata.Name, Dir: dir, Image: image,
		From: in.Release.Fetcher(), NodeImage: descriptor, CertsDir: filepath.Join(root, runtimeconfig.DefaultDir(runtimeconfig.Containerd))}), nil
}

// writeMirror writes containerd's configuration of the registry below root.
func (in *Installation) writeMirror(root string) error {
	ca, err := in.registryAuthority()
	if err != nil {
		return err
	}
	r := in.Site.Spec.Registry
	config, err := runtimeconfig.New(runtimeconfig.Containerd, r.Endpoint, in.mapping, runtimeconfig.Options{Images: in.Release.Images(),
		Hosts: []string{runtimeconfig.EveryHost}, CA: ca, PlainHTTP: r.PlainHTTP})
	if err != nil {
		return fmt.Errorf("configuring the bootstrap's containerd: %w", err)
	}
	_, err = runtimeconfig.Write(root, config.Files, runtimeconfig.WriteOptions{Overwrite: true})
	return err
}

// startBootstrap starts the control plane that the cluster is built from.
type startBootstrap struct{ *Installation }

// Name implements step.Step.
func (*startBootstrap) Name() string { return "start the bootstrap control plane" }

// Check implements step.Step.
func (s *startBootstrap) Check(ctx context.Context) (step.Status, error) {
	if done, err := s.pivoted(ctx); err != nil || done {
		return managesItself(), err
	}
	return step.Status{Done: s.first != nil, Detail: "etcd and kube-apiserver on this host"}, nil
}

// Apply implements step.Step.
func (s *startBootstrap) Apply(ctx context.Context, say step.Say) error {
	say("etcd and kube-apiserver")
	config, err := s.boot.Start(ctx)
	if err != nil {
		return err
	}
	s.first, err = clusterapi.Connect(ctx, config.Path)
	return err
}

// Plan implements step.Planner.
func (s *startBootstrap) Plan(context.Context) (step.Plan, error) {
	images := s.Release.Spec.Images
	return step.Plan{Actions: []string{fmt.Sprintf("run etcd and kube-apiserver on this host, taken from %s and %s", images.Etcd, images.APIServer)}}, nil
}
