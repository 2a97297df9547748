package darknet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Host is a host of the network that is no container: programs of this machine
// in a network namespace of their own, which see nothing but the network. What
// they send elsewhere is counted like what a node sends.
type Host struct {
	Address netip.Addr

	namespace string
	dir       string // with the namespace's resolv.conf
}

// Host makes a host at an address of the network, such as one of Pool.
func (n *Network) Host(ctx context.Context, address netip.Addr) (*Host, error) {
	h := n.host(address)
	if err := h.Close(ctx); err != nil {
		return nil, fmt.Errorf("removing what is left of host %s: %w", address, err)
	}
	if err := h.create(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("making host %s: %w", address, err), h.Close(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// host is the host of a network; there is one at a time.
func (n *Network) host(address netip.Addr) *Host {
	return &Host{Address: address, namespace: n.rules.bridge, dir: filepath.Join("/etc/netns", n.rules.bridge)}
}

// create joins the namespace to the network by a pair of interfaces.
func (h *Host) create(ctx context.Context, n *Network) error {
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(h.dir, "resolv.conf"), []byte("nameserver "+n.NameServer.String()+"\n"), 0o644); err != nil {
		return err
	}
	outer := h.outer()
	for _, args := range [][]string{
		{"netns", "add", h.namespace},
		{"link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", h.namespace},
		{"link", "set", outer, "master", n.rules.bridge, "up"},
		{"-n", h.namespace, "link", "set", "lo", "up"},
		{"-n", h.namespace, "address", "add", h.Address.String() + "/" + strconv.Itoa(n.Prefix.Bits()), "dev", "eth0"},
		{"-n", h.namespace, "link", "set", "eth0", "up"},
		{"-n", h.namespace, "route", "add", "default", "via", n.Address.String()},
	} {
		if _, err := run(ctx, "", "iproute2", "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// outer is the name of the interface on this machine's side.
func (h *Host) outer() string {
	sum := sha256.Sum256([]byte(h.namespace))
	return "host-" + hex.EncodeToString(sum[:5])
}

// Command returns a command that runs on the host. Its process is the
// program's own: what is sent to it, the program gets.
func (h *Host) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.namespace, program}, args...)...)
}

// Enter is a command that starts the one after it on the host, as Command does,
// but with this machine's /sys: a container engine looks there for its cgroups.
func (h *Host) Enter() []string {
	const script = `mount --bind "$1/resolv.conf" /etc/resolv.conf && shift && exec nsenter "--net=/run/netns/$0" "$@"`
	return []string{"unshare", "--mount", "sh", "-c", script, h.namespace, h.dir}
}

// Close removes the host, if it is there. Programs that still run on it keep a
// network without any interface.
func (h *Host) Close(ctx context.Context) error {
	// The interface first: a namespace takes its own away some time after it is gone.
	if _, err := os.Stat(filepath.Join("/sys/class/net", h.outer())); err == nil {
		if _, err := run(ctx, "", "iproute2", "ip", "link", "delete", h.outer()); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join("/run/netns", h.namespace)); err == nil {
		if _, err := run(ctx, "", "iproute2", "ip", "netns", "delete", h.namespace); err != nil {
			return err
		}
	}
	return os.RemoveAll(h.dir)
}
