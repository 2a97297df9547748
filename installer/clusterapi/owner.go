package clusterapi

import "github.com/sealift/sealift/installer/site"

// Owner is what the machines of a site's cluster have under vsphere.OwnerKey:
// with the virtual address, which no two clusters of a network share, it is
// another for a cluster of the same name elsewhere.
func Owner(s *site.Site) string {
	return s.Metadata.Name + "/" + s.Spec.Cluster.Name + "/" + s.Spec.Network.ControlPlaneEndpoint
}
