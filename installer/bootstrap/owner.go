package bootstrap

import (
	"context"
	"os"
	"path/filepath"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/sealift/sealift/internal/problem"
)

// A kind cluster's name is the host's, and its folder somebody's: two sites may
// have one name. Which folder made a cluster stands in the node's container
// itself, as a mount, so that it is known from the container's first moment to
// its last.

// markPath is where the folder of the cluster is seen in its node.
const markPath = "/sealift"

// mark is the mount by which the node tells which folder made it.
func (k *Kind) mark() (v1alpha4.Mount, error) {
	root, err := filepath.Abs(k.root())
	return v1alpha4.Mount{HostPath: root, ContainerPath: markPath, Readonly: true}, err
}

// nodes returns the names of the cluster's nodes. It fails when another folder
// made them.
func (k *Kind) nodes(ctx context.Context) ([]string, error) {
	found, err := k.provider.ListInternalNodes(k.opts.Name)
	if err != nil {
		return nil, noEngine(k.engine, err)
	}
	var names []string
	for _, node := range found {
		root, err := k.engine.text(ctx, nil, "container", "inspect", "--format",
			`{{range .Mounts}}{{if eq .Destination "`+markPath+`"}}{{.Source}}{{end}}{{end}}`, node.String())
		if err != nil {
			return nil, err
		}
		if !same(root, k.root()) {
			return nil, k.another(root, node.String())
		}
		names = append(names, node.String())
	}
	return names, nil
}

// another says which folder made a node of the cluster's name.
func (k *Kind) another(root, node string) error {
	remove := string(k.engine) + " rm --force --volumes " + node
	if root == "" {
		return problem.New(problem.Preflight, "give the site another name, or remove that cluster: "+remove, "there is a kind cluster %s that sealift did not make", k.opts.Name)
	}
	// The folder of an installation has that of the control plane, which has that
	// of the node.
	dir := filepath.Dir(filepath.Dir(root))
	return problem.New(problem.Preflight, "go on with --dir "+dir+", or uninstall what was begun there; if that folder has gone, "+remove,
		"the kind cluster %s was made from the folder %s", k.opts.Name, dir)
}

// same tells whether two paths are of one folder, which need not be there.
func same(a, b string) bool {
	if abs, err := filepath.Abs(b); err == nil && abs == a {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
