package vcenter

import (
	"context"
	"errors"
	"time"
)

// ErrEnded is what a runtime returns for the addresses of a guest that has
// ended by itself. Its machine's power goes off.
var ErrEnded = errors.New("the guest has ended")

// Runtime is what machines boot in. Calls for one machine come one after the
// other; calls for several come at the same time.
type Runtime interface {
	// Start boots a machine that is not there, or boots one again that was
	// stopped, with the values of spec.
	Start(ctx context.Context, spec Spec) error
	// Stop ends a machine and keeps its disks. With a grace the guest is asked
	// first and has that long; without, the power is cut.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Reset boots a running machine again.
	Reset(ctx context.Context, spec Spec) error
	// Destroy removes a machine with its disks. Removing what is not there
	// succeeds.
	Destroy(ctx context.Context, id string) error
	// Addresses returns the addresses that the guest of a running machine has
	// now, by card, or ErrEnded.
	Addresses(ctx context.Context, id string) ([]Address, error)
}

// Spec describes a machine at the moment when it boots.
type Spec struct {
	ID        string // the machine's id in the vCenter, such as vm-42
	UUID      string // its BIOS UUID, by which Kubernetes' cloud provider knows it again
	Name      string // its name, which is the guest's host name
	Template  string // name of the template or machine that it was cloned from; empty where it is no clone
	Disk      string // SHA-256, hex, of the disk of the OVA that it comes from; empty where none was imported
	CPUs      int32
	MemoryMiB int32
	GuestInfo map[string]string // all values whose key begins with guestinfo., by key, as they were set: still encoded
	Cards     []Card            // in the order of the devices
}

// Card is a network card of a machine.
type Card struct {
	MAC     string // the device's address, in lower case
	Network string // name of the port group or network

	key int32 // of the device
}

// Address is what a guest has on one card.
type Address struct {
	MAC string
	IPs []string // as 192.0.2.1/24 or without the length
}
