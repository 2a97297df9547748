// Package vcenter is a vCenter for tests: govmomi's simulator behind TLS and a
// login, with an inventory like a customer's, and with what the simulator
// leaves out.
//
// A site is what the inventory describes: a datacenter, a cluster with hosts,
// datastores, folders, pools, port groups, tags, roles and users. A runtime
// lets machines boot: when a virtual machine is powered on, the runtime starts
// something that can run its guest, for instance a container, with the
// machine's guestinfo values as files and with the addresses of its network
// cards. A fault is a rule that makes calls slow or lets them fail.
//
// Clients cannot tell this vCenter from a real one where it matters to an
// installer; docs/lab-vcenter.md lists what is faithful and what is not.
package vcenter
