// Package apiserver runs etcd and kube-apiserver on this machine, from the
// lab's programs, with the kinds of Cluster API and its provider: a real API
// server to test against what reads and writes objects. No controller runs.
package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/site"
)

// Start runs an API server until stop is called. Dir is any folder of the
// checkout.
func Start(ctx context.Context, dir string) (config *rest.Config, stop func() error, err error) {
	lab, err := site.Open(ctx, dir, site.Options{})
	if err != nil {
		return nil, nil, err
	}
	programs, err := lab.Programs()
	if err != nil {
		return nil, nil, err
	}
	if programs["etcd"] == "" || programs["kube-apiserver"] == "" {
		return nil, nil, problem.New(problem.Preflight, "make lab-build", "%w: etcd and kube-apiserver are missing", site.ErrNotBuilt)
	}
	root, err := checkout(dir)
	if err != nil {
		return nil, nil, err
	}
	definitions, err := kinds(filepath.Join(root, "manifests", "enterprise", "providers"))
	if err != nil {
		return nil, nil, err
	}
	env := &envtest.Environment{BinaryAssetsDirectory: filepath.Dir(programs["kube-apiserver"]), CRDs: definitions}
	env.ControlPlane.GetAPIServer().Path = programs["kube-apiserver"]
	config, err = env.Start()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting an API server: %w", err), env.Stop())
	}
	return config, env.Stop, nil
}

// checkout returns the folder at or above dir that holds go.mod.
func checkout(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not in a checkout")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// kinds reads the definitions of kinds out of the providers' manifests. Their
// conversion is left out: it takes a controller, and one version needs none.
func kinds(dir string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading kinds: %w", err)
		}
		documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			d := &apiextensionsv1.CustomResourceDefinition{}
			if err := documents.Decode(d); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading kinds of %s: %w", file, err)
			}
			if d.Kind == "CustomResourceDefinition" {
				d.Spec.Conversion = nil
				out = append(out, d)
			}
		}
	}
	return out, nil
}
