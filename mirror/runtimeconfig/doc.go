// Package runtimeconfig writes what the nodes of a cluster need so that their
// container runtime pulls from a mirror: containerd's hosts.toml, registries.yaml
// of k3s and RKE2, registries.conf of CRI-O and podman.
//
// A source is the host that an image's name begins with, such as docker.io. The
// runtimes replace it by the mirror and keep the name: a pod still says
// docker.io/library/nginx. Where the mirror has the images of a source is the
// business of a mirror.Mapping; what a runtime cannot say is refused.
//
// Nothing here weakens TLS: an authority is written beside the configuration,
// verification is never switched off, and a registry without TLS is one only
// when Options say so. Unless Options.Fallback is set, a source itself is not
// asked: nothing leaves the site.
package runtimeconfig
