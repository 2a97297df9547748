package node

import (
	"embed"
	"io/fs"
	"path"

	"github.com/sealift/sealift/test/lab/images"
)

// A container of the node image that has a folder /guestinfo is a machine of
// the lab's vCenter: cloud-init reads its user data there, through VMware's own
// tools as far as it can tell. What makes it one stands in the folder guest,
// and guest/boot puts it to work; a node of kind carries it and never uses it.

//go:embed guest
var guest embed.FS

// guestDir is where an image has what makes a machine of it.
const guestDir = "usr/local/lib/guest"

// boot is the program that runs between kind's entrypoint and systemd.
const boot = guestDir + "/boot"

// addGuest adds what a machine of vSphere has and a node of kind does not.
func addGuest(files images.Files) error {
	entries, err := fs.ReadDir(guest, "guest")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := guest.ReadFile(path.Join("guest", e.Name()))
		if err != nil {
			return err
		}
		file := images.File{Text: string(data)}
		if path.Ext(e.Name()) == "" { // what has no suffix is a program
			file.Mode = 0o755
		}
		files[path.Join(guestDir, e.Name())] = file
	}
	// Alone in a folder, to be found first by one service only.
	const virt = "systemd-detect-virt"
	files[path.Join(guestDir, "bin", virt)] = files[path.Join(guestDir, virt)]
	delete(files, path.Join(guestDir, virt))
	return nil
}

// MachineArgs are the arguments of docker create for a container that is a
// machine.
func MachineArgs() []string {
	return []string{"--privileged", "--cgroupns=private", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--tmpfs=/tmp", "--tmpfs=/run"}
}
