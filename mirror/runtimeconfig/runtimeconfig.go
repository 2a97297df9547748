package runtimeconfig

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path"
	"regexp"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

// Runtime is what pulls images on a node.
type Runtime string

// The runtimes.
const (
	Containerd Runtime = "containerd" // 1.6 and later
	K3s        Runtime = "k3s"        // k3s and RKE2, which configure their own containerd
	CRIO       Runtime = "crio"       // CRI-O, podman, skopeo and buildah
)

// EveryHost among Options.Hosts stands for all that are not named. CRI-O
// knows no such thing.
const EveryHost = "_default"

// DefaultHosts are the sources that are configured when Options name none.
func DefaultHosts() []string {
	return []string{"docker.io", "gcr.io", "ghcr.io", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws", "quay.io", "registry.k8s.io"}
}

// Options say what is configured. The zero value is for a registry whose
// certificate the nodes trust already.
type Options struct {
	// Images are the full references that nodes will pull, such as
	// docker.io/library/nginx:1.27. Their hosts are configured, and it is checked
	// that each of them will be found where the mapping says.
	Images []string
	// Hosts are sources to configure besides those of Images; EveryHost may be
	// among them. Without any of both they are DefaultHosts, those that the
	// mapping names, and EveryHost where the runtime knows it.
	Hosts []string
	// CA is the certificate, PEM, of the authority that signed the registry's.
	CA []byte
	// PlainHTTP is set for a registry without TLS.
	PlainHTTP bool
	// Fallback lets nodes ask a source itself for what the mirror lacks.
	Fallback bool
	// Dir is the folder of the runtime's configuration on the node; default DefaultDir.
	Dir string
	// Username and Password are written into the configuration of K3s; the other
	// runtimes have places of their own for credentials.
	Username, Password string
}

// File is a file on a node.
type File struct {
	Path    string // absolute
	Mode    fs.FileMode
	Content []byte
}

// Config is what nodes need.
type Config struct {
	// Files are in the order in which they are best written: what another file
	// names comes before it.
	Files []File
	// Notes are what remains to be done on each node.
	Notes []string
	// Warnings are what is risky.
	Warnings []string
}

// New returns the configuration by which a runtime pulls from registry,
// HOST[:PORT], what mapping says is there. What the runtime cannot express is
// a problem of the kind Usage.
func New(runtime Runtime, registry string, mapping *mirror.Mapping, opts Options) (*Config, error) {
	write := writer(runtime)
	if write == nil {
		return nil, problem.New(problem.Usage, "use containerd, k3s or crio", "no runtime %q", runtime)
	}
	opts.Dir = cmp.Or(opts.Dir, DefaultDir(runtime))
	if err := opts.check(runtime); err != nil {
		return nil, err
	}
	p := &plan{Options: opts, registry: registry}
	var err error
	if p.sources, err = findSources(runtime, mapping, opts); err != nil {
		return nil, err
	}
	out, err := write(p)
	if err != nil {
		return nil, err
	}
	if opts.PlainHTTP {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s is asked without TLS: whoever is on the network between can change what the nodes run", registry))
	}
	return out, nil
}

// writer returns what writes the configuration of a runtime, or nil.
func writer(runtime Runtime) func(*plan) (*Config, error) {
	switch runtime {
	case Containerd:
		return writeContainerd
	case K3s:
		return writeK3s
	case CRIO:
		return writeCRIO
	default:
		return nil
	}
}

// DefaultDir returns the folder of a runtime's configuration on a node.
func DefaultDir(runtime Runtime) string {
	switch runtime {
	case K3s:
		return "/etc/rancher/k3s"
	case CRIO:
		return "/etc/containers"
	default:
		return "/etc/containerd/certs.d"
	}
}

// plainPath is a path that needs no quoting in TOML, YAML or a shell.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._+@/-]*$`)

func (o Options) check(runtime Runtime) error {
	if !plainPath.MatchString(o.Dir) || path.Clean(o.Dir) != o.Dir {
		return problem.New(problem.Usage, "give an absolute path of letters, digits and . _ + @ - /", "the folder on the node, %q, cannot be written into the configuration", o.Dir)
	}
	if o.PlainHTTP && len(o.CA) > 0 {
		return problem.New(problem.Usage, "leave out one of them", "an authority says nothing of a registry without TLS")
	}
	if (o.Username == "") != (o.Password == "") {
		return problem.New(problem.Usage, "give both", "a user name without a password, or the reverse")
	}
	if o.Username != "" && runtime != K3s {
		return problem.New(problem.Usage, "leave it out, and see docs/operate.md, section Credentials", "%s takes no credentials from these files", runtime)
	}
	if len(o.CA) > 0 {
		return checkAuthority(o.CA)
	}
	return nil
}

// checkAuthority refuses what is no list of certificates: a runtime that cannot
// read the file ignores the whole configuration of the host.
func checkAuthority(data []byte) error {
	n := 0
	for rest := data; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return problem.New(problem.Usage, "give only the certificate of the authority; its key stays where it is", "the file of the authority holds a %s", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return problem.New(problem.Usage, "give the certificate of the authority, PEM", "certificate %d of the authority: %w", n+1, err)
		}
	}
	if n == 0 {
		return problem.New(problem.Usage, "give the certificate of the authority, PEM", "the file of the authority holds no certificate")
	}
	return nil
}

// plan is what the writers work from.
type plan struct {
	Options
	registry string // HOST[:PORT]
	sources  []source
}

// url returns the registry's URL without a path.
func (p *plan) url() string {
	if p.PlainHTTP {
		return "http://" + p.registry
	}
	return "https://" + p.registry
}

// mirrorsItself tells whether the registry is among the sources.
func (p *plan) mirrorsItself() bool {
	for _, s := range p.sources {
		if s.host == p.registry {
			return true
		}
	}
	return false
}

// authority returns the file of the authority, if there is one to be written.
func (p *plan) authority(file string) []File {
	if len(p.CA) == 0 {
		return nil
	}
	return []File{{Path: file, Mode: 0o644, Content: append(bytes.TrimSpace(p.CA), '\n')}}
}
