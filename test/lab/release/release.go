// Package release makes the lab's enterprise bundle as the connected side
// makes a real one: sealift bundle init writes the sources that ship, the
// machine image is put beside them, and sealift bundle create fetches every
// image under its real name, from an upstream that serves what the lab compiled.
//
// One thing is other than in the release that ships: the network of pods is the
// lab's netd. flannel's CNI plugin cannot be had as a Go module.
package release

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/test/lab/cache"
	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/lab/upstream"
)

// Options is how the bundle is made. The zero value compiles sealift, and
// makes the bundle for sites with the default network of pods.
type Options struct {
	Sealift string // the program; "" compiles it
	Console string // the program of the system console, systemconsole; "" compiles it
	PodCIDR string // of the sites that it is for; "" means that of a site that names none
}

// Bundle is an enterprise bundle.
type Bundle struct {
	File string // the bundle
	Key  string // the public key that it is verified by
}

// podCIDR is what a site has that names none.
const podCIDR = "100.64.0.0/16"

// Create returns the enterprise bundle of a lab whose build is done. It is made
// once and kept beside the lab's other results, until what it is made of
// changes.
func Create(ctx context.Context, lab *site.Lab, opts Options) (*Bundle, error) {
	opts.PodCIDR = cmp.Or(opts.PodCIDR, podCIDR)
	step, err := newStep(lab, opts)
	if err != nil {
		return nil, fmt.Errorf("planning the lab's enterprise bundle: %w", err)
	}
	dir, err := lab.Make(ctx, step)
	if err != nil {
		return nil, err
	}
	return &Bundle{File: filepath.Join(dir, "enterprise.tar"), Key: filepath.Join(dir, "cosign.pub")}, nil
}

// newStep returns the step of the lab's build that makes the bundle. The
// folders of the lab's results have the keys of these in their names.
func newStep(lab *site.Lab, opts Options) (*cache.Step, error) {
	var code []string
	for _, dir := range []string{"bundles", "cmd/systemconsole", "installer/release", "manifests", "mirror/registry", "systemconsole", "test/lab/release", "test/lab/upstream"} {
		code = append(code, filepath.Join(lab.Root(), dir))
	}
	sources, err := cache.Digest(code...)
	if err != nil {
		return nil, err
	}
	ova, err := lab.OVA()
	if err != nil {
		return nil, err
	}
	m := &maker{lab: lab, opts: opts, ova: ova}
	return &cache.Step{Name: "enterprise", Make: m.make,
		Inputs: []string{sources, opts.PodCIDR, filepath.Base(lab.Upstream()), filepath.Base(filepath.Dir(ova))}}, nil
}

// maker makes the bundle.
type maker struct {
	lab  *site.Lab
	opts Options
	ova  string
	env  []string // of sealift, besides this process' own
}

// make fills a folder with the bundle and its keys.
func (m *maker) make(ctx context.Context, dir string) (err error) {
	work, err := os.MkdirTemp("", "sealift-enterprise-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := m.compile(ctx, work); err != nil {
		return err
	}
	ca := filepath.Join(work, "ca.crt")
	cert, err := certificate(ca)
	if err != nil {
		return fmt.Errorf("the upstream's certificate: %w", err)
	}
	up, err := upstream.Start(ctx, cert, m.lab.Upstream(), filepath.Join(work, "registry"))
	if err != nil {
		return err
	}
	defer up.Close()
	if err := up.AddProgram(upstream.ConsoleImage, m.opts.Console); err != nil {
		return fmt.Errorf("the image of the console: %w", err)
	}
	m.env = []string{"COSIGN_PASSWORD=lab", "DOCKER_CONFIG=" + work, "HOME=" + work, "HTTPS_PROXY=" + up.Proxy, "NO_PROXY=", "no_proxy="}
	sources := filepath.Join(work, "enterprise")
	if err := m.write(ctx, sources); err != nil {
		return err
	}
	if err := m.run(ctx, dir, m.opts.Sealift, "key", "generate"); err != nil {
		return err
	}
	return m.run(ctx, dir, m.opts.Sealift, "bundle", "create", "-f", filepath.Join(sources, "bundle.yaml"), "-o", "enterprise.tar",
		"--key", "cosign.key", "--registry-ca", ca)
}

// certificate makes the certificate of the upstream, and writes that of its
// authority to a file.
func certificate(file string) (tls.Certificate, error) {
	own, err := authority.New("lab", time.Hour)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := own.Issue(authority.Leaf{Name: "upstream", Validity: time.Hour, DNSNames: upstream.Hosts()})
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := os.WriteFile(file, own.Pair().Certificate, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(pair.Certificate, pair.Key)
}

// compile compiles the programs that were not given into a folder.
func (m *maker) compile(ctx context.Context, dir string) error {
	for program, path := range map[string]*string{"sealift": &m.opts.Sealift, "systemconsole": &m.opts.Console} {
		if *path != "" {
			continue
		}
		*path = filepath.Join(dir, program)
		if err := m.run(ctx, m.lab.Root(), "env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", *path, "./cmd/"+program); err != nil {
			return err
		}
	}
	return nil
}

// write writes the sources that ship, with the lab's machine image and network.
func (m *maker) write(ctx context.Context, dir string) error {
	if err := m.run(ctx, filepath.Dir(dir), m.opts.Sealift, "bundle", "init", dir); err != nil {
		return err
	}
	if err := os.Symlink(m.ova, filepath.Join(dir, "node.ova")); err != nil {
		return err
	}
	cni, err := node.CNI(m.opts.PodCIDR)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "addons", "cni.yaml"), []byte(cni), 0o600); err != nil {
		return err
	}
	return replace(filepath.Join(dir, "release.yaml"), "{name: flannel, type: cni,", "{name: netd, type: cni,")
}

// replace replaces what has to stand in a file.
func replace(file, from, to string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), from) {
		return fmt.Errorf("%s has no %q: fit test/lab/release to what ships", file, from)
	}
	return os.WriteFile(file, []byte(strings.ReplaceAll(string(data), from, to)), 0o600)
}

// run runs a program in a folder. What it says is in the error.
func (m *maker) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), m.env...), time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, said.String())
	}
	return nil
}
