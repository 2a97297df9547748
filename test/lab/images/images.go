// Package images makes the images of the lab from compiled programs, under the
// names that they have upstream, and keeps them as an OCI image layout and as
// the data folder of a registry.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sealift/sealift/mirror/serve"
)

// The images that Kubernetes does not name itself. Those of the lab have a
// host that no name server knows.
const (
	Pause   = "registry.k8s.io/pause:3.10.1"
	Netd    = "lab.sealift.test/netd:v1"
	Storage = "docker.io/rancher/local-path-provisioner:v0.0.30"
	Busybox = "docker.io/library/busybox:1.37.0"
)

// Image is an image before it is made.
type Image struct {
	Name   string // HOST/REPOSITORY:TAG
	Files  Files
	Config v1.Config
}

// Sources is what images are made of.
type Sources struct {
	Kubernetes string            // version, such as v1.34.4
	Programs   map[string]string // path of each program on this machine, by name
	Rootfs     string            // tar archive of the node's root file system
}

// All returns the images of a cluster.
func All(s Sources) ([]Image, error) {
	all := []Image{
		s.program("registry.k8s.io/kube-apiserver:"+s.Kubernetes, "kube-apiserver"),
		s.program("registry.k8s.io/kube-controller-manager:"+s.Kubernetes, "kube-controller-manager"),
		s.program("registry.k8s.io/kube-scheduler:"+s.Kubernetes, "kube-scheduler"),
		s.program("registry.k8s.io/etcd:3.6.5-0", "etcd"),
		s.program(Netd, "netd"),
		s.program(Storage, "local-path-provisioner"),
		s.rooted("registry.k8s.io/coredns/coredns:v1.12.1", "coredns"),
		s.rooted(Pause, "pause"),
	}
	fs, err := ReadRootfs(s.Rootfs, "usr/bin/busybox", "usr/sbin/xtables-nft-multi", "usr/sbin/nft", "usr/sbin/conntrack")
	if err != nil {
		return nil, err
	}
	proxy, err := s.proxy(fs)
	if err != nil {
		return nil, err
	}
	busybox, err := busybox(fs)
	if err != nil {
		return nil, err
	}
	return append(all, proxy, busybox), nil
}

// program is an image of one static program in /usr/local/bin.
func (s Sources) program(ref, program string) Image {
	file := "usr/local/bin/" + program
	return Image{Name: ref, Files: Files{file: Program(s.Programs[program]), "tmp": tmp()}, Config: runs("/" + file)}
}

// rooted is an image of one static program at the root.
func (s Sources) rooted(ref, program string) Image {
	return Image{Name: ref, Files: Files{program: Program(s.Programs[program])}, Config: runs("/" + program)}
}

// proxy is kube-proxy with the iptables and nft that it runs, from Debian.
func (s Sources) proxy(rootfs *Rootfs) (Image, error) {
	image := s.program("registry.k8s.io/kube-proxy:"+s.Kubernetes, "kube-proxy")
	programs := append([]string{"usr/sbin/xtables-nft-multi", "usr/sbin/nft", "usr/sbin/conntrack"}, rootfs.Extensions()...)
	files, err := rootfs.Closure(programs...)
	if err != nil {
		return Image{}, fmt.Errorf("kube-proxy's image: %w", err)
	}
	for name, file := range files {
		image.Files[name] = file
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		image.Files["usr/sbin/"+name] = File{Link: "xtables-nft-multi"}
	}
	for _, dir := range []string{"lib", "lib64", "sbin"} {
		image.Files[dir] = File{Link: "usr/" + dir}
	}
	return image, nil
}

// busybox is Debian's static busybox with the commands that tests and the
// storage's helper pods call.
func busybox(rootfs *Rootfs) (Image, error) {
	program, err := rootfs.read("usr/bin/busybox")
	if err != nil {
		return Image{}, fmt.Errorf("busybox' image: %w", err)
	}
	files := Files{"bin/busybox": {Text: string(program), Mode: 0o755}, "tmp": tmp()}
	for _, command := range strings.Fields("cat chmod cp date dd df du echo env false find grep head hostname id ip kill ln ls mkdir mv nc " +
		"nslookup ping ps pwd rm rmdir sed sh sleep sort stat sync tail tar test touch tr true uname vi wc wget which") {
		files["bin/"+command] = File{Link: "busybox"}
	}
	return Image{Name: Busybox, Files: files, Config: v1.Config{Env: paths(), Cmd: []string{"sh"}}}, nil
}

func tmp() File { return File{Dir: true, Mode: 0o777 | os.ModeSticky} }

func paths() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

func runs(program string) v1.Config { return v1.Config{Env: paths(), Entrypoint: []string{program}} }

// WriteLayout makes the images into an OCI image layout in a new folder, each
// as an index of one platform under its name.
func WriteLayout(ctx context.Context, dir string, images []Image) error {
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "layers-")
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, os.RemoveAll(work))
		}
		if err := appendImage(p, work, image); err != nil {
			return errors.Join(fmt.Errorf("image %s: %w", image.Name, err), os.RemoveAll(work))
		}
	}
	return os.RemoveAll(work)
}

func appendImage(p layout.Path, work string, image Image) error {
	layer, err := Compress(work, func(w io.Writer) error { return WriteLayer(w, image.Files) })
	if err != nil {
		return err
	}
	img, err := New(image.Config, layer)
	if err != nil {
		return err
	}
	return p.AppendIndex(index(img), layout.WithAnnotations(map[string]string{refName: image.Name}))
}

// refName is the annotation that holds an image's name in a layout.
const refName = "org.opencontainers.image.ref.name"

// Names returns the names of the images in a layout.
func Names(dir string) ([]string, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range manifest.Manifests {
		out = append(out, d.Annotations[refName])
	}
	return out, nil
}

// FillRegistry makes the data folder of a registry that holds the images of a
// layout, each as HOST/REPOSITORY:TAG below the registry's own host.
func FillRegistry(ctx context.Context, dir, data string) error {
	handler, closeRegistry, err := serve.Registry(ctx, serve.RegistryOptions{Data: data})
	if err != nil {
		return err
	}
	server := httptest.NewServer(handler)
	err = push(ctx, dir, server.Listener.Addr().String())
	server.Close()
	return errors.Join(err, closeRegistry())
}

func push(ctx context.Context, dir, host string) error {
	from, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	manifest, err := from.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		to, err := name.ParseReference(host+"/"+d.Annotations[refName], name.Insecure)
		if err != nil {
			return err
		}
		index, err := from.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(to, index, remote.WithContext(ctx)); err != nil {
			return fmt.Errorf("pushing %s: %w", d.Annotations[refName], err)
		}
	}
	return nil
}

// Programs returns the paths of all files in folders, by name.
func Programs(dirs ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				out[e.Name()] = filepath.Join(dir, e.Name())
			}
		}
	}
	return out, nil
}

// Complete checks that there is an image for each that kubeadm will ask for.
func Complete(ctx context.Context, kubeadm, version string, all []Image) error {
	out, err := exec.CommandContext(ctx, kubeadm, "config", "images", "list", "--kubernetes-version", version).Output()
	if err != nil {
		return fmt.Errorf("asking kubeadm for the names of its images: %w", err)
	}
	for _, name := range strings.Fields(string(out)) {
		if !slices.ContainsFunc(all, func(i Image) bool { return i.Name == name }) {
			return fmt.Errorf("kubeadm %s needs %s, and the lab has no such image: fit the list in test/lab/images", version, name)
		}
	}
	return nil
}
