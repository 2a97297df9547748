// Package packs reads, checks, builds and carries packs.
//
// A pack is a folder that describes one integration of one layer of a cluster
// (os, k8s, cni, csi, addon). Its parts:
//
//	pack.json       what it is: name, version, layer, charts, manifests, constraints
//	values.yaml     the values that charts and manifests get
//	presets.yaml    named changes of the values, to choose from
//	schema.yaml     which values must be given, and their formats
//	charts/         Helm charts, packed (.tgz) or as folders
//	manifests/      Kubernetes manifests
//
// A pack travels as a folder, as an archive (.tar.gz, .zip, .tar.zst) or as an
// OCI artifact with one layer for each file. All three read the same; nothing
// of a pack is ever rewritten, so that fields nobody here knows stay as they are.
//
// Macros such as {{.spectro.var.x}} are resolved when a cluster is deployed.
// Here they are text, also where they stand in YAML without quotes.
//
// Archives and artifacts are hostile until the opposite is shown: names are
// checked, everything is written through os.Root into a folder of its own, and
// the number of entries, their size and the ratio of packing are limited.
//
// A link to a file of the same pack reads as that file. Any other link is
// refused, also one to a folder of the pack: an artifact has no links, so that
// a folder that stands twice would have to travel twice, and could be endless.
package packs
