package steps

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"text/template"

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
	objects, err := s.objects(ctx)
	if err != nil {
		return step.Status{}, err
	}
	changes, err := own.Differences(ctx, objects)
	if err != nil || len(changes) > 0 {
		return step.Status{Detail: fmt.Sprintf("%d of %d objects are missing or other than in the release", len(changes), len(objects))}, err
	}
	return step.Status{Done: true, Detail: fmt.Sprintf("%d addons", len(s.Release.Spec.Addons))}, nil
}

// Apply implements step.Step.
func (s *addons) Apply(ctx context.Context, say step.Say) error {
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	objects, err := s.objects(ctx)
	if err != nil {
		return err
	}
	say("%d objects", len(objects))
	return own.ApplyObjects(ctx, objects)
}

// Plan implements step.Planner.
func (s *addons) Plan(context.Context) (step.Plan, error) {
	var p step.Plan
	for _, a := range s.Release.AddonsInOrder() {
		p.Actions = append(p.Actions, fmt.Sprintf("apply %s (%s)", a.Name, a.Type))
	}
	return p, nil
}

// objects are those of all addons, with what the site adds.
func (s *addons) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, a := range s.Release.AddonsInOrder() {
		if a.Type == release.CPI {
			config, err := s.cloudConfig()
			if err != nil {
				return nil, err
			}
			out = append(out, config...)
		}
		data, err := s.Release.AddonManifests(ctx, a)
		if err != nil {
			return nil, err
		}
		objects, err := clusterapi.ParseManifests(data)
		if err != nil {
			return nil, fmt.Errorf("addon %s: %w", a.Name, err)
		}
		if a.Type == release.CNI {
			if err := setPodNetwork(objects, s.Site.Spec.Cluster.PodCIDR); err != nil {
				return nil, fmt.Errorf("addon %s: %w", a.Name, err)
			}
		}
		out = append(out, objects...)
	}
	return out, nil
}

// Categories of the tags that name regions and zones.
const (
	regionCategory = "k8s-region"
	zoneCategory   = "k8s-zone"
)

// cloudConfig is what cloud-provider-vsphere knows of the site: its
// configuration, and the credentials, which the same secret holds that
// cluster/cloud-config.yaml names.
func (s *addons) cloudConfig() ([]*unstructured.Unstructured, error) {
	v := s.Site.Spec.VCenter
	server, portText, err := net.SplitHostPort(vsphere.Address(v.Server))
	if err != nil {
		return nil, fmt.Errorf("the vCenter's address %q: %w", v.Server, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("the vCenter's address %q: %w", v.Server, err)
	}
	var authority []byte
	if ca := s.Site.Path(v.CAFile); ca != "" {
		if authority, err = content.ReadFile(ca, maxAuthority); err != nil {
			return nil, fmt.Errorf("reading the authority of the vCenter: %w", err)
		}
	}
	t, err := template.New("cloud-config.yaml").Option("missingkey=error").ParseFS(manifests.Enterprise(), "cluster/cloud-config.yaml")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		Server, Datacenter, Authority, Thumbprint, Region, Zone, Exclude string
		Port                                                             int
	}{server, s.placement.Datacenter.Name(), string(authority), v.Thumbprint, regionCategory, zoneCategory, s.Site.Spec.Network.ControlPlaneEndpoint + "/32", port})
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
