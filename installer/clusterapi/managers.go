package clusterapi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/durable"
)

// LocalManagers runs the managers of providers as processes beside a local
// control plane, with the arguments of their Deployments. Their webhook servers
// listen on a port of the host each, and take no more than one request to check
// an object; everything else listens on the loopback interface only.
type LocalManagers struct {
	plane *bootstrap.Local
}

// NewLocalManagers returns the managers beside a control plane that runs.
func NewLocalManagers(plane *bootstrap.Local) *LocalManagers { return &LocalManagers{plane: plane} }

// serve writes the certificate of a provider's webhooks where its manager reads
// it, and returns the URL that they are called at.
func (l *LocalManagers) serve(p *Provider, cert Certificate) (string, error) {
	dir, err := l.plane.Dir(p.label())
	if err != nil {
		return "", err
	}
	port, err := l.plane.Port(p.label() + "-webhook")
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{"tls.key": cert.Key, "tls.crt": cert.Certificate} {
		if err := durable.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("https://127.0.0.1:%d", port), nil
}

// start runs the managers of providers and waits until all are ready.
func (l *LocalManagers) start(ctx context.Context, kubeconfig string, providers []*Provider) error {
	var processes []bootstrap.Process
	for _, p := range providers {
		for _, d := range p.deployments() {
			process, err := l.process(ctx, kubeconfig, p, d)
			if err != nil {
				return fmt.Errorf("the manager of provider %s: %w", p.Name, err)
			}
			processes = append(processes, process)
		}
	}
	return l.plane.Run(ctx, processes...)
}

// process turns a Deployment into a process of this host.
func (l *LocalManagers) process(ctx context.Context, kubeconfig string, p *Provider, d *unstructured.Unstructured) (bootstrap.Process, error) {
	container, err := managerOf(d)
	if err != nil {
		return bootstrap.Process{}, err
	}
	image, _ := container["image"].(string)
	command, _, _ := unstructured.NestedStringSlice(container, "command")
	program := ""
	if len(command) > 0 {
		program = command[0]
	}
	path, err := l.plane.Program(ctx, image, program)
	if err != nil {
		return bootstrap.Process{}, err
	}
	dir, err := l.plane.Dir(p.label())
	if err != nil {
		return bootstrap.Process{}, err
	}
	ports := map[string]int{}
	for _, use := range []string{"webhook", "health"} {
		if ports[use], err = l.plane.Port(p.label() + "-" + use); err != nil {
			return bootstrap.Process{}, err
		}
	}
	files, err := writeSecrets(dir, p, d)
	if err != nil {
		return bootstrap.Process{}, err
	}
	health := fmt.Sprintf("127.0.0.1:%d", ports["health"])
	args := append(keptArguments(container),
		"--kubeconfig="+kubeconfig, "--leader-elect=false", healthFlag(p)+"="+health, "--diagnostics-address=0",
		fmt.Sprintf("--webhook-port=%d", ports["webhook"]), "--webhook-cert-dir="+dir)
	return bootstrap.Process{Name: p.label(), Path: path, Args: append(args, files...),
		Env:   []string{"POD_NAMESPACE=" + d.GetNamespace(), "POD_NAME=" + d.GetName(), "POD_UID=bootstrap"},
		Ready: bootstrap.Answers("http://" + health + "/readyz")}, nil
}

// healthFlag returns the flag of a manager for the address at which it says
// that it is ready. The provider of addresses has kubebuilder's, all others
// have Cluster API's.
func healthFlag(p *Provider) string {
	if p.Type == release.IPAM {
		return "--health-probe-bind-address"
	}
	return "--health-addr"
}

// managerOf returns the container of a manager.
func managerOf(d *unstructured.Unstructured) (map[string]any, error) {
	containers, _, err := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		return nil, fmt.Errorf("%s has %d containers, not one: %w", identify(d), len(containers), ErrComponents)
	}
	container, ok := containers[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: its container is no mapping: %w", identify(d), ErrComponents)
	}
	return container, nil
}

// keptArguments returns the arguments of a manager without those that depend
// on where it runs.
func keptArguments(container map[string]any) []string {
	args, _, _ := unstructured.NestedStringSlice(container, "args")
	replaced := []string{"kubeconfig", "leader-elect", "health-addr", "health-probe-bind-address", "diagnostics-address", "insecure-diagnostics", "webhook-port", "webhook-cert-dir", "credentials-file"}
	return slices.DeleteFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return slices.Contains(replaced, name)
	})
}

// credentialMount is where CAPV's manager expects the credentials that clusters
// without an identity of their own would use.
const credentialMount = "/etc/capv"

// writeSecrets writes the secrets of the components that a manager mounts, and
// returns the arguments that point to them.
func writeSecrets(dir string, p *Provider, d *unstructured.Unstructured) ([]string, error) {
	container, err := managerOf(d)
	if err != nil {
		return nil, err
	}
	mounts, _, _ := unstructured.NestedSlice(container, "volumeMounts")
	volumes, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "volumes")
	for _, v := range mounts {
		mount, _ := v.(map[string]any)
		if mount["mountPath"] != credentialMount {
			continue
		}
		for _, v := range volumes {
			volume, _ := v.(map[string]any)
			name, _, _ := unstructured.NestedString(volume, "secret", "secretName")
			if volume["name"] == mount["name"] {
				return writeSecret(dir, p, name)
			}
		}
	}
	return nil, nil
}

func writeSecret(dir string, p *Provider, name string) ([]string, error) {
	const file = "credentials.yaml"
	path := filepath.Join(dir, file)
	for _, o := range p.Objects {
		if o.GetKind() != "Secret" || o.GetName() != name {
			continue
		}
		text, _, _ := unstructured.NestedString(o.Object, "stringData", file)
		return []string{"--credentials-file=" + path}, durable.WriteFile(path, []byte(text), 0o600)
	}
	return nil, fmt.Errorf("the secret %s is not among the components: %w", name, os.ErrNotExist)
}
