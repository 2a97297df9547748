// Package manifests holds the YAML that ships with sealift, as the programs
// use it. A file with {{ }} is a template; the package that fills it in says
// with what.
package manifests

import _ "embed" // the files

//go:embed job-mirror.yaml
var jobMirror string

// JobMirror returns the template of the Indexed Job that fills a registry from
// object storage; package mirror fills it in.
func JobMirror() string { return jobMirror }
