package steps

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"text/template"

	"github.com/dustin/go-humanize/english"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/manifests"
)

// addons installs what nodes need to become ready: network, cloud provider,
// storage.
type addons struct{ *Installation }

// Name implements step.Step.
func (*addons) Name() string { return "install network, cloud provider and storage" }

// Check implements step.Step.
func (s *addons) Check(ctx context.Context) (step.Status, error) {
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no cluster yet"}, err
	}
	all, err := s.all(ctx)
	if err != nil {
		return step.Status{}, err
	}
	count, different := 0, 0
	for _, a := range all {
		changes, err := a.differences(ctx, s.Installation, own)
		if err != nil {
			return step.Status{}, err
		}
		count, different = count+len(a.objects)+len(a.charts), different+len(changes)
	}
	if different > 0 {
		return step.Status{Detail: fmt.Sprintf("%d of %d objects and charts are missing or other than in the release", different, count)}, nil
	}
	return step.Status{Done: true, Detail: english.Plural(len(all), "addon", "")}, nil
}

// Apply implements step.Step.
func (s *addons) Apply(ctx context.Context, say step.Say) error {
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		say("%s: %s", a.name, a.size())
		if err := a.apply(ctx, s.Installation, own); err != nil {
			return fmt.Errorf("addon %s: %w", a.name, err)
		}
	}
	return nil
}

// Plan implements step.Planner.
func (s *addons) Plan(context.Context) (step.Plan, error) {
	var p step.Plan
	for _, a := range s.Release.AddonsInOrder() {
		what := "manifests " + a.Manifests
		if a.Pack != "" {
			what = "pack " + a.Pack
		}
		p.Actions = append(p.Actions, fmt.Sprintf("apply %s (%s), %s", a.Name, a.Type, what))
	}
	return p, nil
}

// all returns what each addon installs, with what the site adds.
func (s *addons) all(ctx context.Context) ([]addon, error) {
	var out []addon
	for _, from := range s.Release.AddonsInOrder() {
		a, err := s.read(ctx, from)
		if err != nil {
			return nil, fmt.Errorf("addon %s: %w", from.Name, err)
		}
		switch from.Type {
		case release.CPI:
			config, err := s.cloudConfig(ctx)
			if err != nil {
				return nil, err
			}
			a.objects = append(config, a.objects...)
		case release.CNI:
			if err := setPodNetwork(a.objects, s.Site.Spec.Cluster.PodCIDR); err != nil {
				return nil, fmt.Errorf("addon %s: %w", from.Name, err)
			}
		}
		out = append(out, a)
	}
	return out, distinct(out)
}

// read returns what an addon of the release is made of.
func (s *addons) read(ctx context.Context, from release.Addon) (addon, error) {
	if from.Pack != "" {
		return s.readPack(ctx, from)
	}
	data, err := s.Release.AddonManifests(ctx, from)
	if err != nil {
		return addon{}, err
	}
	objects, err := clusterapi.ParseManifests(data)
	stay(objects)
	return addon{name: from.Name, objects: objects}, err
}

// Categories of the tags that name regions and zones.
const (
	regionCategory = "k8s-region"
	zoneCategory   = "k8s-zone"
)

// cloudConfig is what cloud-provider-vsphere knows of the site: its
// configuration, and the credentials, which the same secret holds that
// cluster/cloud-config.yaml names. Without an authority it trusts the one
// certificate: what this host's system trusts, its container does not.
func (s *addons) cloudConfig(ctx context.Context) ([]*unstructured.Unstructured, error) {
	v := s.Site.Spec.VCenter
	server, portText, err := net.SplitHostPort(vsphere.Address(v.Server))
	if err != nil {
		return nil, fmt.Errorf("the vCenter's address %q: %w", v.Server, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("the vCenter's address %q: %w", v.Server, err)
	}
	endpoint, err := netip.ParseAddr(s.Site.Spec.Network.ControlPlaneEndpoint)
	if err != nil {
		return nil, fmt.Errorf("the control plane's address: %w", err)
	}
	var authority []byte
	var thumbprint string
	if ca := s.Site.Path(v.CAFile); ca == "" {
		if thumbprint, err = s.thumbprint(ctx); err != nil {
			return nil, err
		}
	} else if authority, err = content.ReadFile(ca, maxAuthority); err != nil {
		return nil, fmt.Errorf("reading the authority of the vCenter: %w", err)
	}
	t, err := template.New("cloud-config.yaml").Option("missingkey=error").ParseFS(manifests.Enterprise(), "cluster/cloud-config.yaml")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		Server, Datacenter, Authority, Thumbprint, Region, Zone, Exclude string
		Port                                                             int
	}{server, s.placement.Datacenter.Name(), string(authority), thumbprint, regionCategory, zoneCategory, netip.PrefixFrom(endpoint, endpoint.BitLen()).String(), port})
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of the cloud provider: %w", err)
	}
	objects, err := clusterapi.ParseManifests(out.Bytes())
	if err != nil {
		return nil, err
	}
	return append(objects, secret("kube-system", "vsphere-cloud-secret", "Opaque", map[string][]byte{
		server + ".username": []byte(s.VCenterLogin.Username), server + ".password": []byte(s.VCenterLogin.Password.Reveal()),
	})), nil
}

func secret(namespace, name, kind string, content map[string][]byte) *unstructured.Unstructured {
	data := map[string]any{}
	for key, value := range content {
		data[key] = base64.StdEncoding.EncodeToString(value)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"data":     data,
	}}
}
