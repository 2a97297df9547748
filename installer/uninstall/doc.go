// Package uninstall removes what an installation made, and nothing else.
//
// A machine is the cluster's when vCenter has the cluster's mark on it (see
// vsphere.OwnerKey) and its name begins with the cluster's, or when an object
// of Cluster API has its UUID. A name alone is never enough, and the cluster
// need not answer: what is removed is found at vCenter.
package uninstall
