package clusterapi

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"

	"github.com/sealift/sealift/installer/release"
)

// record writes providers into the inventory of clusterctl, by which a move
// knows that both sides have them.
func (m *Management) record(ctx context.Context, providers []*Provider) error {
	inventory := m.clusterctl.ProviderInventory()
	if err := inventory.EnsureCustomResourceDefinitions(ctx); err != nil {
		return fmt.Errorf("preparing the inventory of providers: %w", err)
	}
	for _, p := range providers {
		entry := clusterctlv1.Provider{
			TypeMeta: metav1.TypeMeta{APIVersion: clusterctlv1.GroupVersion.String(), Kind: "Provider"},
			ObjectMeta: metav1.ObjectMeta{Name: p.label(), Namespace: p.Namespace(), Labels: map[string]string{
				"clusterctl.cluster.x-k8s.io": "", "cluster.x-k8s.io/provider": p.label(),
				"clusterctl.cluster.x-k8s.io/core": "inventory",
			}},
			ProviderName: p.Name, Type: inventoryType(p.Type), Version: p.Version,
		}
		if err := inventory.Create(ctx, entry); err != nil {
			return fmt.Errorf("recording provider %s: %w", p.Name, err)
		}
	}
	return nil
}

// inventoryType returns clusterctl's name of a type.
func inventoryType(t release.ProviderType) string {
	names := map[release.ProviderType]clusterctlv1.ProviderType{
		release.Core: clusterctlv1.CoreProviderType, release.Bootstrap: clusterctlv1.BootstrapProviderType,
		release.ControlPlane: clusterctlv1.ControlPlaneProviderType, release.Infrastructure: clusterctlv1.InfrastructureProviderType,
		release.IPAM: clusterctlv1.IPAMProviderType,
	}
	return string(names[t])
}

// InstalledProviders returns the versions of the providers in the inventory, by
// the label of clusterctl, such as infrastructure-vsphere. It is empty where
// nothing was installed.
func (m *Management) InstalledProviders(ctx context.Context) (map[string]string, error) {
	inventory := m.clusterctl.ProviderInventory()
	if err := inventory.EnsureCustomResourceDefinitions(ctx); err != nil {
		return nil, fmt.Errorf("preparing the inventory of providers: %w", err)
	}
	list, err := inventory.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory of providers: %w", err)
	}
	out := map[string]string{}
	for _, p := range list.Items {
		out[p.Name] = p.Version
	}
	return out, nil
}
