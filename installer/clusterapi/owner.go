package clusterapi

import (
	"strings"

	"github.com/sealift/sealift/installer/site"
)

// Owner is what the machines of a site's cluster have under vsphere.OwnerKey:
// with the virtual address, which no two clusters of a network share, it is
// another for a cluster of the same name elsewhere.
func Owner(s *site.Site) string {
	return s.Metadata.Name + "/" + s.Spec.Cluster.Name + "/" + s.Spec.Network.ControlPlaneEndpoint
}

// Owns tells whether a machine with a name and a mark is one of the site's
// cluster. Another cluster's name may begin with that of this one, and somebody's
// clone of a machine has the mark of its original.
func Owns(s *site.Site, machine, mark string) bool {
	return mark == Owner(s) && strings.HasPrefix(machine, s.Spec.Cluster.Name+"-")
}
