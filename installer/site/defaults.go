package site

import "cmp"

// Defaults that are no empty value.
const (
	defaultName        = "enterprise"
	defaultReplicas    = 3
	defaultPodCIDR     = "100.64.0.0/16" // carrier-grade NAT: seldom a site's own network
	defaultServiceCIDR = "100.96.0.0/16"
)

// complete fills in what was left out, so that nobody else has to know a
// default.
func (s *Site) complete() {
	s.Spec.Bootstrap = cmp.Or(s.Spec.Bootstrap, BootstrapLocal)
	v := &s.Spec.VCenter
	if v.ResourcePool == "" && v.Cluster != "" {
		v.ResourcePool = v.Cluster + "/Resources"
	}
	v.TemplateFolder = cmp.Or(v.TemplateFolder, v.Folder)
	c := &s.Spec.Cluster
	c.Name = cmp.Or(c.Name, defaultName)
	c.PodCIDR, c.ServiceCIDR = cmp.Or(c.PodCIDR, defaultPodCIDR), cmp.Or(c.ServiceCIDR, defaultServiceCIDR)
	c.ControlPlane.Replicas = cmp.Or(c.ControlPlane.Replicas, defaultReplicas)
	c.ControlPlane.Size = c.ControlPlane.Size.orDefault()
	for i := range c.Workers {
		c.Workers[i].Replicas = cmp.Or(c.Workers[i].Replicas, 1)
		c.Workers[i].Size = c.Workers[i].Size.orDefault()
	}
	s.Spec.Console.Hostname = cmp.Or(s.Spec.Console.Hostname, s.Spec.Network.ControlPlaneEndpoint)
}
