package steps

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

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
	mirror, err := in.mirrorFiles()
	if err != nil {
		return nil, err
	}
	patches, err := in.loginPatches()
	if err != nil {
		return nil, err
	}
	return bootstrap.NewKind(bootstrap.KindOptions{Name: bootstrap.KindName(in.Site.Metadata.Name), Dir: dir, Image: image,
		From: in.Release.Fetcher(), NodeImage: descriptor, Mirror: mirror, ContainerdPatches: patches}), nil
}

// mirrorFiles are containerd's configuration of the site's registry.
func (in *Installation) mirrorFiles() ([]runtimeconfig.File, error) {
	ca, err := in.registryAuthority()
	if err != nil {
		return nil, err
	}
	r := in.Site.Spec.Registry
	config, err := runtimeconfig.New(runtimeconfig.Containerd, r.Endpoint, in.mapping, runtimeconfig.Options{Images: in.Release.Images(),
		Hosts: []string{runtimeconfig.EveryHost}, CA: ca, PlainHTTP: r.PlainHTTP})
	if err != nil {
		return nil, fmt.Errorf("configuring the bootstrap's containerd: %w", err)
	}
	return config.Files, nil
}

// loginPatches give the login to the registry to the node's containerd, whose
// config.toml has one of two versions.
func (in *Installation) loginPatches() ([]string, error) {
	if in.RegistryLogin.Username == "" {
		return nil, nil
	}
	auth := map[string]any{"auth": map[string]string{"username": in.RegistryLogin.Username, "password": in.RegistryLogin.Password.Reveal()}}
	registry := map[string]any{"registry": map[string]any{"configs": map[string]any{in.Site.Spec.Registry.Endpoint: auth}}}
	var out []string
	for version, plugin := range map[int]string{2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"} {
		text, err := toml.Marshal(map[string]any{"version": version, "plugins": map[string]any{plugin: registry}})
		if err != nil {
			return nil, fmt.Errorf("configuring the bootstrap's containerd: %w", err)
		}
		out = append(out, string(text))
	}
	return out, nil
}

// startBootstrap starts the control plane that the cluster is built from.
type startBootstrap struct{ *Installation }

// Name implements step.Step.
func (*startBootstrap) Name() string { return "start the bootstrap control plane" }

// what names what is started.
func (s *startBootstrap) what() string {
	if s.local == nil {
		return "kind cluster " + bootstrap.KindName(s.Site.Metadata.Name)
	}
	return "etcd and kube-apiserver"
}

// Check implements step.Step.
func (s *startBootstrap) Check(ctx context.Context) (step.Status, error) {
	if done, err := s.pivoted(ctx); err != nil || done {
		return managesItself(), err
	}
	return step.Status{Done: s.first != nil, Detail: s.what() + " on this host"}, nil
}

// Apply implements step.Step.
func (s *startBootstrap) Apply(ctx context.Context, say step.Say) error {
	say("%s", s.what())
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
	if s.local == nil {
		return step.Plan{Actions: []string{"make the " + s.what() + " on this host, of " + images.KindNode}}, nil
	}
	return step.Plan{Actions: []string{fmt.Sprintf("run etcd and kube-apiserver on this host, taken from %s and %s", images.Etcd, images.APIServer)}}, nil
}
