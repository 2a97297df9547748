// Package programs compiles what runs in the lab from Go modules, with no
// container registry and no release page.
//
// Each folder here is a module of its own: it pins the versions of the programs
// that can share them, so that what they share compiles once, and keeps them
// away from the suite's own dependencies. A further program is a line in the
// list of its module; programs of other versions get a folder of their own.
package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
)

// Module is a folder below this package with programs of one set of versions.
type Module struct {
	Name     string
	Programs []Program
	Stamps   []Stamp // versions that the programs print
	Flags    string  // further flags of the linker
}

// Program is one executable of a module.
type Program struct {
	Name    string // of the file
	Package string // import path, or ./FOLDER of the module
}

// Stamp is the version of a module that the linker writes into programs, at
// one of two places.
type Stamp struct {
	Module   string // whose version
	Package  string // which has Kubernetes' variables: gitVersion and its parts
	Variable string // path of a single variable
}

// Modules returns all modules.
func Modules() []Module {
	return []Module{
		kubernetes(),
		{Name: "coredns", Programs: []Program{{"coredns", "."}}, Flags: "-X github.com/coredns/coredns/coremain.GitCommit=lab"},
		clusterAPI(),
		ipam(),
		{Name: "cpi", Programs: []Program{
			{"vsphere-cloud-controller-manager", "k8s.io/cloud-provider-vsphere/cmd/vsphere-cloud-controller-manager"},
		}, Stamps: []Stamp{
			{Module: "k8s.io/cloud-provider-vsphere", Package: "k8s.io/component-base/version"},
			{Module: "k8s.io/cloud-provider-vsphere", Variable: "main.version"},
		}},
		{Name: "preload", Programs: []Program{{"preload", "."}}},
	}
}

func kubernetes() Module {
	return Module{Name: "kubernetes", Programs: []Program{
		{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
		{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"},
		{"kubeadm", "k8s.io/kubernetes/cmd/kubeadm"},
		{"kubelet", "k8s.io/kubernetes/cmd/kubelet"},
		{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
		{"etcd", "./etcd"},
		{"local-path-provisioner", "github.com/rancher/local-path-provisioner"},
		{"host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"},
		{"loopback", "github.com/containernetworking/plugins/plugins/main/loopback"},
		{"ptp", "github.com/containernetworking/plugins/plugins/main/ptp"},
		{"portmap", "github.com/containernetworking/plugins/plugins/meta/portmap"},
		{"netd", "./netd"},
		{"crictl", "./crictl"},
		{"pause", "./pause"},
	}, Stamps: []Stamp{
		{Module: "k8s.io/kubernetes", Package: "k8s.io/component-base/version"},
		{Module: "k8s.io/kubernetes", Package: "k8s.io/client-go/pkg/version"},
	}}
}

// clusterAPI is Cluster API with its vSphere provider, which are made for one
// another, and kube-vip, which compiles with their versions of Kubernetes'
// modules.
func clusterAPI() Module {
	return Module{Name: "clusterapi", Programs: []Program{
		{"cluster-api-controller", "sigs.k8s.io/cluster-api"},
		{"kubeadm-bootstrap-controller", "sigs.k8s.io/cluster-api/bootstrap/kubeadm"},
		{"kubeadm-control-plane-controller", "sigs.k8s.io/cluster-api/controlplane/kubeadm"},
		{"cluster-api-vsphere-controller", "sigs.k8s.io/cluster-api-provider-vsphere"},
		{"kube-vip", "github.com/kube-vip/kube-vip"},
	}, Stamps: []Stamp{
		{Module: "sigs.k8s.io/cluster-api", Package: "sigs.k8s.io/cluster-api/version"},
		{Module: "sigs.k8s.io/cluster-api-provider-vsphere", Package: "sigs.k8s.io/cluster-api-provider-vsphere/pkg/version"},
		{Module: "github.com/kube-vip/kube-vip", Variable: "main.Version"},
	}}
}

// ipam is Cluster API's provider of addresses, which is made for an older
// controller-runtime than clusterAPI's.
func ipam() Module {
	const module = "sigs.k8s.io/cluster-api-ipam-provider-in-cluster"
	return Module{Name: "ipam", Programs: []Program{{"cluster-api-ipam-in-cluster-controller", module}},
		Stamps: []Stamp{{Module: module, Package: module + "/version"}}}
}

// Options is how modules are compiled. The zero value reports nothing.
type Options struct {
	Log func(format string, args ...any) // told what was compiled; nil means nobody
}

// Step returns the step that compiles a module. root is the folder of this
// package; the result has one file a program.
func (m Module) Step(root string, opts Options) (*cache.Step, error) {
	dir := filepath.Join(root, m.Name)
	sources, err := cache.Digest(dir)
	if err != nil {
		return nil, err
	}
	flags, err := m.linkerFlags(dir)
	if err != nil {
		return nil, err
	}
	return &cache.Step{
		Name:   "programs-" + m.Name,
		Inputs: []string{sources, flags, runtime.Version(), runtime.GOARCH, fmt.Sprint(m.Programs)},
		Make: func(ctx context.Context, out string) error {
			return m.build(ctx, dir, out, flags, opts)
		},
	}, nil
}

func (m Module) build(ctx context.Context, dir, out, flags string, opts Options) error {
	for _, p := range m.Programs {
		start := time.Now()
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags,
			"-o", filepath.Join(out, p.Name), p.Package)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return compileError(ctx, p, err, stderr.String())
		}
		if opts.Log != nil {
			opts.Log("compiled %s in %s", p.Name, time.Since(start).Round(time.Second))
		}
	}
	return nil
}

// compileError says what the compiler said, and what is likely the matter.
func compileError(ctx context.Context, p Program, err error, stderr string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	remedy := ""
	switch {
	case strings.Contains(stderr, "no space left on device"):
		remedy = "make room in the folders of `go env GOCACHE` and `go env GOTMPDIR`; `go clean -cache` empties the first"
	case strings.Contains(stderr, "signal: killed"):
		remedy = "the machine ran out of memory: give it 8 GiB, or set GOFLAGS=-p=1"
	case strings.Contains(stderr, "dial tcp"), strings.Contains(stderr, "no such host"), strings.Contains(stderr, "i/o timeout"):
		remedy = "reach the Go module proxy, or set GOPROXY to one that can be reached"
	case errors.Is(err, exec.ErrNotFound):
		remedy = "install Go, or put its folder on PATH"
	}
	return problem.New(problem.Failed, remedy, "compiling %s: %w\n%s", p.Name, err, strings.TrimSpace(stderr))
}

// Version returns the version of a dependency that a module pins. root is the
// folder of this package.
func Version(root, module, dependency string) (string, error) {
	return version(filepath.Join(root, module), dependency)
}

func version(dir, dependency string) (string, error) {
	path := filepath.Join(dir, "go.mod")
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	mod, err := modfile.Parse(path, data, nil)
	if err != nil {
		return "", err
	}
	for _, r := range mod.Require {
		if r.Mod.Path == dependency {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", path, dependency)
}

// linkerFlags makes small programs, and tells them their version.
func (m Module) linkerFlags(dir string) (string, error) {
	flags := "-s -w"
	for _, s := range m.Stamps {
		v, err := version(dir, s.Module)
		if err != nil {
			return "", err
		}
		flags += s.flags(v)
	}
	if m.Flags != "" {
		flags += " " + m.Flags
	}
	return flags, nil
}

func (s Stamp) flags(version string) string {
	if s.Variable != "" {
		return fmt.Sprintf(" -X %s=%s", s.Variable, version)
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	return fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s"+
		" -X %[1]s.gitTreeState=clean -X %[1]s.gitCommit=unknown -X %[1]s.buildDate=2026-01-01T00:00:00Z", s.Package, version, major, minor)
}
