package vcenter

const (
	gib = int64(1) << 30
	tib = int64(1) << 40
)

// Inventory describes a site: one datacenter with one cluster. Paths are
// inventory paths such as /north/vm/sealift.
type Inventory struct {
	Datacenter string
	Cluster    string
	Hosts      []string // names of the cluster's hosts
	HostMemory int64    // bytes of each host; default 4 GiB
	Datastores []Datastore
	Folders    []string // folders for machines, below the datacenter's, parents first
	Pools      []string // resource pools, below the cluster's, parents first
	Switch     string   // the distributed switch that every host is on
	PortGroups []string // port groups of the switch
	Tags       []Tag
	Roles      []Role
	Users      []User
}

// Datastore is a datastore that every host reaches.
type Datastore struct {
	Name     string
	Type     string // VMFS, NFS, ...; default VMFS
	Capacity int64  // bytes
}

// Tag is a tag that is attached to an object.
type Tag struct {
	Category, Name string
	Path           string // of the object
}

// Role is a named set of privileges.
type Role struct {
	Name       string
	Privileges []string
}

// User is somebody who can log in.
type User struct {
	Name, Password string
	Grants         []Grant
}

// Grant gives a user a role on an object.
type Grant struct {
	Path      string // of the object; / is the vCenter itself
	Role      string
	Propagate bool // to what lies below
}

// Names of the roles of the site that Site returns.
const (
	RoleLook     = "sealift-look"     // for what the installer only looks at
	RoleMachines = "sealift-machines" // for where it makes templates and machines
)

// Installer returns the user of Site who has the documented privileges and no
// others.
func Installer() User {
	const dc = "/north"
	u := User{Name: "sealift@vsphere.local", Password: "Dark-Site-2!"}
	for _, path := range []string{"/", dc, dc + "/host/cluster-a"} {
		u.Grants = append(u.Grants, Grant{Path: path, Role: RoleLook})
	}
	u.Grants = append(u.Grants, Grant{Path: dc + "/vm", Role: RoleLook, Propagate: true})
	for _, path := range []string{
		dc + "/vm/templates", dc + "/vm/sealift", dc + "/host/cluster-a/Resources/sealift",
		dc + "/datastore/vmfs-ssd", dc + "/datastore/vmfs-bulk", dc + "/network/nodes", dc + "/network/management",
		dc + "/host/cluster-a/esx-1.north.example", dc + "/host/cluster-a/esx-2.north.example", dc + "/host/cluster-a/esx-3.north.example",
	} {
		u.Grants = append(u.Grants, Grant{Path: path, Role: RoleMachines, Propagate: true})
	}
	return u
}

// Site returns the inventory of a site like a customer's: three hosts, two
// datastores for machines and one for images, port groups for nodes and for
// management, tags for region and zone, and a user with the documented
// privileges.
func Site() Inventory {
	return Inventory{
		Datacenter: "north",
		Cluster:    "cluster-a",
		Hosts:      []string{"esx-1.north.example", "esx-2.north.example", "esx-3.north.example"},
		Datastores: []Datastore{
			{Name: "vmfs-ssd", Capacity: 2 * tib},
			{Name: "vmfs-bulk", Capacity: 8 * tib},
			{Name: "nfs-images", Type: "NFS", Capacity: 500 * gib},
		},
		Folders:    []string{"templates", "sealift", "sealift/enterprise", "others"},
		Pools:      []string{"sealift", "others"},
		Switch:     "switch-north",
		PortGroups: []string{"nodes", "management"},
		Tags: []Tag{
			{Category: "k8s-region", Name: "north", Path: "/north"},
			{Category: "k8s-zone", Name: "north-a", Path: "/north/host/cluster-a"},
		},
		Roles: []Role{
			{Name: RoleLook, Privileges: LookPrivileges()},
			{Name: RoleMachines, Privileges: MachinePrivileges()},
		},
		Users: []User{Installer(), {Name: "nobody@vsphere.local", Password: "Dark-Site-3!"}},
	}
}
