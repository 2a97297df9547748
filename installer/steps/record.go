package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/upgrade"
)

// The Secret in which a cluster keeps what it was made from, and its keys
// besides the files of the site.
const (
	RecordSecret  = "sealift-site"
	RecordKey     = "bundle.pub"     // the key that bundles are signed with, PEM
	RecordRelease = "installed.json" // upgrade.Installed
)

// Signature says by whom a bundle is signed.
type Signature struct {
	Key         []byte    // the public key, PEM
	Fingerprint string    // SHA-256 of the key in hex
	Verified    time.Time // when the signature was checked
}

// keepSite keeps in the cluster what it was made from, so that the next upgrade
// knows what administrators changed since, and so that the console in the
// cluster can carry it out.
type keepSite struct{ *Installation }

// Name implements step.Step.
func (*keepSite) Name() string { return "keep the site in the cluster" }

// Check implements step.Step.
func (s *keepSite) Check(ctx context.Context) (step.Status, error) {
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no cluster yet"}, err
	}
	there, err := record(ctx, own)
	if err != nil || there == nil {
		return step.Status{Detail: "it is not there"}, err
	}
	wanted, err := s.wanted()
	if err != nil {
		return step.Status{}, err
	}
	for _, data := range []map[string][]byte{there, wanted} {
		if data[RecordRelease], err = undated(data[RecordRelease]); err != nil {
			return step.Status{Detail: "it cannot be read: " + err.Error()}, nil
		}
	}
	same := maps.EqualFunc(there, wanted, slices.Equal)
	return step.Status{Done: same, Detail: "Secret " + clusterapi.Namespace + "/" + RecordSecret}, nil
}

// undated is a record without the time at which the signature was checked:
// each run checks it anew.
func undated(data []byte) ([]byte, error) {
	var i upgrade.Installed
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, err
	}
	i.Verified = time.Time{}
	return json.Marshal(i)
}

// Apply implements step.Step.
func (s *keepSite) Apply(ctx context.Context, _ step.Say) error {
	own, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	data, err := s.wanted()
	if err != nil {
		return err
	}
	return own.ApplyObjects(ctx, []*unstructured.Unstructured{secret(clusterapi.Namespace, RecordSecret, "Opaque", data)})
}

// Plan implements step.Planner.
func (s *keepSite) Plan(context.Context) (step.Plan, error) {
	return step.Plan{Actions: []string{"write the site, its logins and what is installed into Secret " + clusterapi.Namespace + "/" + RecordSecret}}, nil
}

func (s *keepSite) wanted() (map[string][]byte, error) {
	out, err := s.Site.Files(s.VCenterLogin, s.RegistryLogin)
	if err != nil {
		return nil, err
	}
	if s.Signed.Key != nil {
		out[RecordKey] = s.Signed.Key
	}
	out[RecordRelease], err = json.Marshal(s.inventory())
	return out, err
}

// inventory is what the release consists of.
func (in *Installation) inventory() upgrade.Installed {
	st := in.Bundle.Statement()
	out := upgrade.Installed{Release: in.Release.Metadata.Name + " " + in.Release.Metadata.Version, Key: in.Signed.Fingerprint, Verified: in.Signed.Verified.UTC().Truncate(time.Second),
		Bundle: upgrade.Bundle{ID: string(in.Bundle.StatementDigest()), Name: st.Name, Version: st.Version, Statement: string(in.Bundle.StatementDigest()),
			From: path.Join(in.Site.Spec.Registry.Endpoint, in.Site.Spec.Registry.Prefix)}}
	if out.Key != "" {
		out.Key = "sha256:" + strings.TrimPrefix(out.Key, "sha256:")
	}
	used := in.Release.Images()
	for _, root := range st.Roots {
		switch root.Kind {
		case archive.RootReferrer, archive.RootValues, archive.RootSBOM:
			continue
		case archive.RootImage:
			if !slices.Contains(used, root.Reference) {
				continue // carried for others
			}
		}
		out.Components = append(out.Components, component(root, &in.Release.Release))
	}
	return out
}

// component describes a root of the bundle. What the release gives a version,
// such as a provider, has that one.
func component(root archive.Root, r *release.Release) upgrade.Component {
	c := upgrade.Component{Kind: root.Kind, Digest: root.Descriptor.Digest.String(), Name: root.Reference}
	if named, err := reference.ParseNormalizedNamed(root.Reference); err == nil {
		c.Name = named.Name()
		if tagged, ok := named.(reference.Tagged); ok {
			c.Version = tagged.Tag()
		}
	}
	if root.Kind == archive.RootImage {
		return c
	}
	c.Name = path.Base(c.Name)
	for _, p := range r.Spec.Providers {
		if root.Kind == archive.RootManifests && p.Manifests == c.Name {
			c.Kind, c.Name, c.Version = "provider", string(p.Type)+"-"+p.Name, p.Version
			return c
		}
	}
	for _, a := range r.Spec.Addons {
		if a.Manifests == c.Name || a.Pack == c.Name {
			c.Kind, c.Name = "addon", a.Name
		}
	}
	return c
}

// record reads what a cluster keeps; nil when it keeps nothing.
func record(ctx context.Context, own *clusterapi.Management) (map[string][]byte, error) {
	s := &corev1.Secret{}
	err := own.Get(ctx, client.ObjectKey{Namespace: clusterapi.Namespace, Name: RecordSecret}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what the cluster was made from: %w", err)
	}
	return s.Data, nil
}

// Installed returns what a cluster says of its last installation or upgrade; nil
// when it says nothing.
func Installed(ctx context.Context, kubeconfig string) (*upgrade.Installed, error) {
	own, err := clusterapi.Connect(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	data, err := record(ctx, own)
	if data == nil || err != nil {
		return nil, err
	}
	i := &upgrade.Installed{}
	if err := json.Unmarshal(data[RecordRelease], i); err != nil {
		return nil, fmt.Errorf("reading what is installed: %w", err)
	}
	return i, nil
}

// recorded returns the site as the last installation or upgrade had it; nil
// when the cluster does not say.
func (in *Installation) recorded(ctx context.Context) (*site.Site, error) {
	data, err := record(ctx, in.own)
	if data == nil || err != nil {
		return nil, err
	}
	s, err := site.Parse(data[site.SiteFile], in.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading what the cluster was made from: %w", err)
	}
	return s, nil
}
