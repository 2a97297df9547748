// Package manifests holds the YAML that ships with sealift, as the programs
// use it. A file with {{ }} is a template; the package that fills it in says
// with what.
package manifests

import (
	"embed"
	"io/fs"
)

// The components of Cluster API's providers come from the sources of the
// programs that the lab compiles; test/providers says how.
//
//go:generate go run -buildvcs=false ../test/providers -programs ../test/lab/programs -o enterprise/providers

//go:embed job-mirror.yaml
var jobMirror string

// JobMirror returns the template of the Indexed Job that fills a registry from
// object storage; package mirror fills it in.
func JobMirror() string { return jobMirror }

//go:embed enterprise
var enterprise embed.FS

// Enterprise returns what an enterprise cluster is made of:
//
//	*.yaml      the bundle that carries it, and the release: what is installed of that
//	providers/  components of Cluster API's providers, without webhooks' certificates
//	addons/     what runs in the cluster beside Kubernetes
//	charts/     the system console
//	cluster/    templates of Cluster API's objects and of files on nodes
//
// Each template says at its head with what it is filled in.
func Enterprise() fs.FS {
	sub, err := fs.Sub(enterprise, "enterprise")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
