// Package clusterapi drives Cluster API: it installs the providers, describes
// the management cluster as objects, watches them become a cluster, moves them
// into it, and changes them later.
//
// The terms are Cluster API's. A provider is a set of kinds and the manager
// that makes them true. A management cluster is one that holds such objects:
// the bootstrap control plane first, and after the move (the pivot) the cluster
// that the objects describe. Nothing here reaches beyond the site: clusterctl
// gets no repositories.
package clusterapi
