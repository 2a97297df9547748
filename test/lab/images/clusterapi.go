package images

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Versions are those of what manages clusters on vSphere, each such as v1.13.6.
type Versions struct {
	ClusterAPI string // core, and kubeadm's bootstrap and control plane providers
	VSphere    string // the infrastructure provider
	IPAM       string // the provider of addresses
	KubeVIP    string
	CPI        string // cloud-provider-vsphere
}

// authorities is where programs on Linux look for authorities.
const authorities = "etc/ssl/certs/ca-certificates.crt"

// nonroot is the user of distroless' nonroot images, as a number, which
// runAsNonRoot asks for.
const nonroot = "65532"

// ClusterAPI returns the images of Cluster API's managers, and of what its
// clusters on vSphere run beside Kubernetes. Program and entrypoint stand where
// they stand upstream: sealift takes programs out of images by that.
func ClusterAPI(s Sources, v Versions) ([]Image, error) {
	fs, err := ReadRootfs(s.Rootfs, authorities)
	if err != nil {
		return nil, err
	}
	trusted, err := fs.read(authorities)
	if err != nil {
		return nil, fmt.Errorf("images of Cluster API: %w", err)
	}
	manager := func(ref, program string) Image { return s.distroless(ref, "manager", program, nonroot, trusted) }
	return []Image{
		manager("registry.k8s.io/cluster-api/cluster-api-controller:"+v.ClusterAPI, "cluster-api-controller"),
		manager("registry.k8s.io/cluster-api/kubeadm-bootstrap-controller:"+v.ClusterAPI, "kubeadm-bootstrap-controller"),
		manager("registry.k8s.io/cluster-api/kubeadm-control-plane-controller:"+v.ClusterAPI, "kubeadm-control-plane-controller"),
		manager("registry.k8s.io/cluster-api-vsphere/cluster-api-vsphere-controller:"+v.VSphere, "cluster-api-vsphere-controller"),
		manager("registry.k8s.io/capi-ipam-ic/cluster-api-ipam-in-cluster-controller:"+v.IPAM, "cluster-api-ipam-in-cluster-controller"),
		// It announces its address by itself, through netlink and raw sockets:
		// only load balancing and egress run iptables, from another image.
		s.distroless("ghcr.io/kube-vip/kube-vip:"+v.KubeVIP, "kube-vip", "kube-vip", "", trusted),
		s.distroless("registry.k8s.io/cloud-pv-vsphere/cloud-provider-vsphere:"+v.CPI,
			"bin/vsphere-cloud-controller-manager", "vsphere-cloud-controller-manager", "nobody", trusted),
	}, nil
}

// distroless is an image of one static program with what distroless/static has:
// authorities, users and a folder for temporary files.
func (s Sources) distroless(ref, file, program, user string, trusted []byte) Image {
	return Image{Name: ref, Config: v1.Config{Env: paths(), Entrypoint: []string{"/" + file}, User: user, WorkingDir: "/"}, Files: Files{
		file:        Program(s.Programs[program]),
		authorities: {Text: string(trusted)},
		"etc/passwd": {Text: "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" +
			"nonroot:x:" + nonroot + ":" + nonroot + ":nonroot:/home/nonroot:/sbin/nologin\n"},
		"etc/group": {Text: "root:x:0:\nnobody:x:65534:\nnonroot:x:" + nonroot + ":\n"},
		"tmp":       tmp(),
	}}
}
