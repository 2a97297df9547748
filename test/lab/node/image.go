package node

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/sealift/sealift/test/lab/images"
)

// waitDelay is how long a program may clean up after an interrupt.
const waitDelay = 20 * time.Second

// ArchiveFile is the name of the node images' archive, for "docker load".
const ArchiveFile = "node.tar"

// Label marks the lab's images, so that they can be found and removed.
const Label = "test.sealift.lab"

//go:embed manifests
var manifests embed.FS

// Sources is what a node image is made of.
type Sources struct {
	Kubernetes string            // version, such as v1.34.4
	KindFiles  string            // folder of kind's module with the files of its base image
	Programs   map[string]string // path of each compiled program, by name
	Rootfs     string            // tar archive of the root file system
	Images     string            // OCI layout of the images
}

// Names are the names under which the engine knows the two node images.
type Names struct {
	Full string // holds every image of a cluster
	Bare string // holds only the pause image: all others have to be pulled
}

// WriteArchive makes both node images and writes them, with what they share
// once, into dir/ArchiveFile.
func WriteArchive(ctx context.Context, dir string, s Sources, names Names) error {
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the step's folder is thrown away on failure
	base, err := s.base(work)
	if err != nil {
		return err
	}
	out := map[name.Tag]v1.Image{}
	for tag, only := range map[string][]string{names.Full: nil, names.Bare: {images.Pause}} {
		preloaded, err := s.preload(ctx, work, only)
		if err != nil {
			return err
		}
		img, err := images.New(config(), append(base, preloaded)...)
		if err != nil {
			return err
		}
		ref, err := name.NewTag(tag)
		if err != nil {
			return err
		}
		out[ref] = img
	}
	return writeArchive(filepath.Join(dir, ArchiveFile), out)
}

func writeArchive(path string, out map[name.Tag]v1.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(tarball.MultiWrite(out, w), w.Flush(), f.Close())
}

// config is that of kind's base image, which also boots as a machine.
func config() v1.Config {
	return v1.Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=docker",
			"HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY="},
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/" + boot, "/sbin/init"},
		Volumes:    map[string]struct{}{"/var": {}}, // containerd's snapshots cannot lie on an overlay
		StopSignal: "SIGRTMIN+3",                    // systemd runs itself anew on SIGTERM
		Labels:     map[string]string{Label: "node"},
	}
}

// base returns the layers that both images share.
func (s Sources) base(work string) ([]v1.Layer, error) {
	debian, err := images.Compress(work, func(w io.Writer) error { return copyFile(w, s.Rootfs) })
	if err != nil {
		return nil, err
	}
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	programs, err := images.Compress(work, func(w io.Writer) error { return images.WriteLayer(w, files) })
	if err != nil {
		return nil, err
	}
	return []v1.Layer{debian, programs}, nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// files returns what a node has beside Debian.
func (s Sources) files() (images.Files, error) {
	files := images.Files{}
	if err := files.AddTree(filepath.Join(s.KindFiles, "etc"), "etc"); err != nil {
		return nil, fmt.Errorf("reading kind's base files: %w", err)
	}
	for _, script := range []string{"kind/bin/create-kubelet-cgroup-v2.sh", "kind/bin/mount-product-files.sh",
		"kind/bin/undo-mount-hacks.sh", "usr/local/bin/entrypoint"} {
		files[script] = images.Program(filepath.Join(s.KindFiles, script))
	}
	for _, p := range []string{"kubeadm", "kubelet", "kubectl"} {
		files["usr/bin/"+p] = images.Program(s.Programs[p])
	}
	for _, p := range []string{"host-local", "loopback", "portmap", "ptp"} {
		files["opt/cni/bin/"+p] = images.Program(s.Programs[p])
	}
	files["usr/local/bin/crictl"] = images.Program(s.Programs["crictl"])
	files["usr/local/bin/containerd"] = images.File{Link: "/usr/bin/containerd"} // kind's unit starts it there
	files["kind/version"] = images.File{Text: s.Kubernetes}
	for _, dir := range []string{"etc/kubernetes/manifests", "etc/containerd/certs.d", "etc/cni/net.d", "var/lib/kubelet"} {
		files[dir] = images.File{Dir: true}
	}
	if err := addUnits(files); err != nil {
		return nil, err
	}
	return files, errors.Join(s.addContainerd(files), addManifests(files), addGuest(files))
}

// addUnits starts what a node needs, and nothing that is the kernel's.
func addUnits(files images.Files) error {
	const units = "etc/systemd/system/"
	for _, unit := range []string{"kubelet.service", "containerd.service", "undo-mount-hacks.service"} {
		if _, ok := files[units+unit]; !ok {
			return fmt.Errorf("kind's base files have no %s", unit)
		}
		files[units+"multi-user.target.wants/"+unit] = images.File{Link: "/" + units + unit}
	}
	files[units+"systemd-binfmt.service"] = images.File{Link: "/dev/null"}
	files["etc/systemd/journald.conf.d/kind.conf"] = images.File{Text: "[Journal]\nReadKMsg=no\n"}
	return nil
}

// addContainerd fits kind's configuration of containerd to Debian's build and
// to a machine that may not lower oom_score_adj (no CAP_SYS_RESOURCE).
func (s Sources) addContainerd(files images.Files) error {
	config, err := os.ReadFile(filepath.Join(s.KindFiles, "etc/containerd/config.toml"))
	if err != nil {
		return err
	}
	text := string(config)
	for _, c := range []struct{ old, new string }{
		{`sandbox_image = "registry.k8s.io/pause:3.10"`, fmt.Sprintf("sandbox_image = %q", images.Pause)},
		{"restrict_oom_score_adj = false", "restrict_oom_score_adj = true"},
	} {
		if !strings.Contains(text, c.old) {
			return fmt.Errorf("kind's containerd configuration has no line %q any more", c.old)
		}
		text = strings.Replace(text, c.old, c.new, 1)
	}
	text += `
# Debian's containerd looks elsewhere by default.
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
# Each registry's folder here says where its images are pulled from.
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
`
	files["etc/containerd/config.toml"] = images.File{Text: text}
	return nil
}

// addManifests adds what kind applies to a new cluster: network and storage.
func addManifests(files images.Files) error {
	replace := strings.NewReplacer("NETD_IMAGE", images.Netd, "STORAGE_IMAGE", images.Storage, "BUSYBOX_IMAGE", images.Busybox)
	for _, name := range []string{"default-cni.yaml", "default-storage.yaml"} {
		data, err := manifests.ReadFile("manifests/" + name)
		if err != nil {
			return err
		}
		files["kind/manifests/"+name] = images.File{Text: replace.Replace(string(data))}
	}
	return nil
}

// CNI returns the manifest of the lab's network, for clusters that kind has not
// made. Pods get addresses of the given network, such as 10.244.0.0/16.
func CNI(pods string) (string, error) {
	files := images.Files{}
	if err := addManifests(files); err != nil {
		return "", err
	}
	return strings.ReplaceAll(files["kind/manifests/default-cni.yaml"].Text, "{{ .PodSubnet }}", pods), nil
}

// preload returns a layer with images in containerd's store; none named means all.
func (s Sources) preload(ctx context.Context, work string, only []string) (v1.Layer, error) {
	store, err := os.MkdirTemp(work, "store-")
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, s.Programs["preload"], append([]string{s.Images, store}, only...)...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("filling containerd's store: %w: %s", err, stderr.String())
	}
	files := images.Files{}
	if err := files.AddTree(store, "var/lib/containerd"); err != nil {
		return nil, err
	}
	return images.Compress(work, func(w io.Writer) error { return images.WriteLayer(w, files) })
}
