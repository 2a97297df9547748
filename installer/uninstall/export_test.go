package uninstall

import "github.com/sealift/sealift/installer/clusterapi"

// Managed makes the objects of an installation's cluster be those of m.
func (u *Uninstallation) Managed(m *clusterapi.Management) *Uninstallation {
	u.found.Manager = m
	return u
}
