package clusterapi

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"

	"github.com/distribution/reference"
	"github.com/pelletier/go-toml/v2"
	corev1 "k8s.io/api/core/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/mirror/runtimeconfig"
)

// nodes is what cloud-init and kubeadm do on the nodes.
type nodes struct {
	controlPlane, worker bootstrapv1.KubeadmConfigSpec
	credentials          *corev1.Secret // nil where nodes pull anonymously
}

// Paths on the nodes.
const (
	criSocket      = "unix:///run/containerd/containerd.sock"
	authFile       = "/etc/sealift/registry-auth.toml"
	authScript     = "/etc/sealift/registry-auth.sh"
	imagesFile     = "/etc/sealift/images.yaml"
	kubeVIPFile    = "/etc/kubernetes/manifests/kube-vip.yaml"
	initConfigFile = "/run/kubeadm/kubeadm.yaml" // only where kubeadm init runs
)

// pullCommand pulls what kubeadm is about to start. kubeadm itself asks a
// registry five times without a pause, and then the machine is lost: here it may
// be away for as long as a machine has until it is a node.
const pullCommand = "for i in $(seq 240); do kubeadm config images pull --config " + imagesFile + " --cri-socket " + criSocket + " && break; sleep 5; done"

// sshUser is the user that the site's SSH keys let in.
const sshUser = "sealift"

// nodes returns the configuration of the nodes. What is no secret stands in the
// configuration itself: when it changes, the nodes are replaced.
func (d Description) nodes() (*nodes, error) {
	files, secret, err := d.registryFiles()
	if err != nil {
		return nil, err
	}
	files = append(files, d.proxyFiles()...)
	worker := bootstrapv1.KubeadmConfigSpec{Format: bootstrapv1.CloudConfig, Files: files, PreKubeadmCommands: d.commands(secret != nil)}
	worker.JoinConfiguration.NodeRegistration = registration()
	if keys := d.Site.Spec.Cluster.SSHAuthorizedKeys; len(keys) > 0 {
		worker.Users = []bootstrapv1.User{{Name: sshUser, SSHAuthorizedKeys: keys, Sudo: "ALL=(ALL) NOPASSWD:ALL", Shell: "/bin/bash"}}
	}
	if servers := d.Site.Spec.Network.NTP; len(servers) > 0 {
		worker.NTP = bootstrapv1.NTP{Enabled: new(true), Servers: servers}
	}
	vip, err := d.kubeVIP()
	if err != nil {
		return nil, err
	}
	plane := *worker.DeepCopy()
	plane.InitConfiguration.NodeRegistration = registration()
	if len(d.Site.Spec.Cluster.Workers) == 0 {
		alone := &[]corev1.Taint{} // kubeadm's own taint would leave no node for what is no part of the control plane
		plane.InitConfiguration.NodeRegistration.Taints, plane.JoinConfiguration.NodeRegistration.Taints = alone, alone
	}
	if plane.ClusterConfiguration, err = d.kubeadm(); err != nil {
		return nil, err
	}
	images, err := d.kubeadmImages(plane.ClusterConfiguration)
	if err != nil {
		return nil, err
	}
	plane.Files = append(plane.Files, vip, images)
	// Until kubeadm has given admin.conf its rights, only super-admin.conf may
	// write kube-vip's lease; afterwards it is not to be used.
	plane.PreKubeadmCommands = append(plane.PreKubeadmCommands, onInit("admin.conf", "super-admin.conf"), pullCommand)
	plane.PostKubeadmCommands = append(plane.PostKubeadmCommands, onInit("super-admin.conf", "admin.conf"))
	return &nodes{controlPlane: plane, worker: worker, credentials: secret}, nil
}

// onInit returns the command that lets kube-vip use another kubeconfig, on the
// node where kubeadm init runs.
func onInit(from, to string) string {
	return fmt.Sprintf("if [ -f %s ]; then sed -i 's#path: /etc/kubernetes/%s#path: /etc/kubernetes/%s#' %s; fi", initConfigFile, from, to, kubeVIPFile)
}

func registration() bootstrapv1.NodeRegistrationOptions {
	return bootstrapv1.NodeRegistrationOptions{
		Name: "{{ local_hostname }}", CRISocket: criSocket,
		KubeletExtraArgs: []bootstrapv1.Arg{{Name: "cloud-provider", Value: new("external")}},
	}
}

// kubeadm names the images of the control plane.
func (d Description) kubeadm() (bootstrapv1.ClusterConfiguration, error) {
	var c bootstrapv1.ClusterConfiguration
	images := d.Release.Spec.Images
	var err error
	if c.ImageRepository, _, err = split(images.APIServer); err != nil {
		return c, err
	}
	if c.Etcd.Local.ImageRepository, c.Etcd.Local.ImageTag, err = split(images.Etcd); err != nil {
		return c, err
	}
	if c.DNS.ImageRepository, c.DNS.ImageTag, err = split(images.CoreDNS); err != nil {
		return c, err
	}
	c.ControllerManager.ExtraArgs = []bootstrapv1.Arg{{Name: "cloud-provider", Value: new("external")}}
	return c, nil
}

// kubeadmImages names the images of a control plane to kubeadm outside of init
// and join, in the words of its own configuration.
func (d Description) kubeadmImages(c bootstrapv1.ClusterConfiguration) (bootstrapv1.File, error) {
	type image struct {
		Repository string `json:"imageRepository"`
		Tag        string `json:"imageTag"`
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration",
		"kubernetesVersion": d.Release.Spec.KubernetesVersion, "imageRepository": c.ImageRepository,
		"etcd": map[string]any{"local": image{c.Etcd.Local.ImageRepository, c.Etcd.Local.ImageTag}},
		"dns":  image{c.DNS.ImageRepository, c.DNS.ImageTag},
	})
	return bootstrapv1.File{Path: imagesFile, Owner: "root:root", Permissions: "0644", Content: string(text)}, err
}

// split returns the repository's folder and the tag of an image.
func split(ref string) (folder, tag string, err error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", "", fmt.Errorf("image %q of the release: %w", ref, err)
	}
	if t, ok := named.(reference.Tagged); ok {
		tag = t.Tag()
	}
	return path.Dir(named.Name()), tag, nil
}

// registryFiles are those by which containerd pulls from the site's registry
// and from nowhere else.
func (d Description) registryFiles() ([]bootstrapv1.File, *corev1.Secret, error) {
	r := d.Site.Spec.Registry
	config, err := runtimeconfig.New(runtimeconfig.Containerd, r.Endpoint, d.Mapping,
		runtimeconfig.Options{Images: d.Images, Hosts: []string{runtimeconfig.EveryHost}, CA: d.RegistryCA, PlainHTTP: r.PlainHTTP})
	if err != nil {
		return nil, nil, fmt.Errorf("configuring containerd: %w", err)
	}
	var files []bootstrapv1.File
	for _, f := range config.Files {
		files = append(files, bootstrapv1.File{Path: f.Path, Owner: "root:root", Permissions: fmt.Sprintf("%04o", f.Mode.Perm()), Content: string(f.Content)})
	}
	if d.Registry.Username == "" {
		return files, nil, nil
	}
	const key = "registry-auth.toml"
	login, err := d.authentication()
	if err != nil {
		return nil, nil, fmt.Errorf("configuring containerd: %w", err)
	}
	secret := d.secret(d.name()+"-registry", map[string][]byte{key: login})
	files = append(files,
		bootstrapv1.File{Path: authFile, Owner: "root:root", Permissions: "0600", Encoding: bootstrapv1.Base64,
			ContentFrom: bootstrapv1.FileSource{Secret: bootstrapv1.SecretFileSource{Name: secret.Name, Key: key}}},
		bootstrapv1.File{Path: authScript, Owner: "root:root", Permissions: "0700", Content: d.addAuthentication()})
	return files, secret, nil
}

// authentication is the login as containerd's config.toml has it, below a
// heading that depends on the version of containerd. It is in base64: cloud-init
// would take braces in a password for a template.
func (d Description) authentication() ([]byte, error) {
	text, err := toml.Marshal(struct {
		Username string `toml:"username"`
		Password string `toml:"password"`
	}{d.Registry.Username, d.Registry.Password.Reveal()})
	return []byte(encode(text)), err
}

// addAuthentication returns the script that puts the login into config.toml
// itself, for containerd 1.7 replaces a plugin's whole section by that of an
// imported file.
func (d Description) addAuthentication() string {
	return strings.NewReplacer("ENDPOINT", d.Site.Spec.Registry.Endpoint, "FILE", authFile).Replace(`#!/bin/sh
# Written by sealift: gives containerd the login to the site's registry.
set -eu
config=/etc/containerd/config.toml
grep -q '^# sealift: registry login$' "$config" && exit 0
plugin=io.containerd.grpc.v1.cri
if grep -Eq '^version *= *3' "$config"; then plugin=io.containerd.cri.v1.images; fi
chmod 0600 "$config"
{
	printf '\n# sealift: registry login\n'
	printf '[plugins."%s".registry.configs."ENDPOINT".auth]\n' "$plugin"
	cat FILE
} >>"$config"
systemctl restart containerd
`)
}

// commands run before kubeadm.
func (d Description) commands(login bool) []string {
	commands := []string{"grep -q '{{ local_hostname }}' /etc/hosts || echo '127.0.1.1 {{ local_hostname }}' >>/etc/hosts"}
	if p := d.Site.Spec.Network.Proxy; p.HTTP+p.HTTPS != "" {
		commands = append(commands, "systemctl daemon-reload", "systemctl restart containerd")
	}
	if login {
		commands = append(commands, authScript)
	}
	return commands
}

// proxyFiles let containerd and the kubelet use the site's proxy.
func (d Description) proxyFiles() []bootstrapv1.File {
	p := d.Site.Spec.Network.Proxy
	if p.HTTP+p.HTTPS == "" {
		return nil
	}
	c := d.Site.Spec.Cluster
	direct := append([]string{"localhost", "127.0.0.1", ".svc", ".cluster.local", c.PodCIDR, c.ServiceCIDR, d.Site.Spec.Network.ControlPlaneEndpoint,
		host(d.Site.Spec.Registry.Endpoint), host(d.Site.Spec.VCenter.Server)}, p.NoProxy...)
	if subnet := d.Site.Spec.Network.Addresses.Subnet(); subnet.IsValid() {
		direct = append(direct, subnet.String())
	}
	lines := []string{"[Service]"}
	for _, v := range [][2]string{{"HTTP_PROXY", p.HTTP}, {"HTTPS_PROXY", p.HTTPS}, {"NO_PROXY", strings.Join(direct, ",")}} {
		if v[1] != "" {
			// systemd reads % as the beginning of a specifier.
			lines = append(lines, fmt.Sprintf("Environment=%q", v[0]+"="+strings.ReplaceAll(v[1], "%", "%%")))
		}
	}
	var files []bootstrapv1.File
	for _, unit := range []string{"containerd", "kubelet"} {
		files = append(files, bootstrapv1.File{Path: "/etc/systemd/system/" + unit + ".service.d/sealift-proxy.conf", Owner: "root:root", Permissions: "0644",
			Content: strings.Join(lines, "\n") + "\n"})
	}
	return files
}

// host returns the host of HOST[:PORT].
func host(endpoint string) string {
	i := strings.LastIndex(endpoint, ":")
	if i < 0 || strings.HasSuffix(endpoint, "]") {
		return endpoint
	}
	return strings.Trim(endpoint[:i], "[]")
}

// kubeVIP is the static pod that announces the cluster's address.
func (d Description) kubeVIP() (bootstrapv1.File, error) {
	text, err := fs.ReadFile(manifests.Enterprise(), "cluster/kube-vip.yaml")
	if err != nil {
		return bootstrapv1.File{}, err
	}
	t, err := template.New("kube-vip.yaml").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return bootstrapv1.File{}, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		Image, Address, Interface string
		Port                      int
	}{d.Release.Spec.Images.KubeVIP, d.Site.Spec.Network.ControlPlaneEndpoint, "", apiPort})
	if err != nil {
		return bootstrapv1.File{}, fmt.Errorf("describing kube-vip: %w", err)
	}
	return bootstrapv1.File{Path: kubeVIPFile, Owner: "root:root", Permissions: "0644", Content: out.String()}, nil
}
