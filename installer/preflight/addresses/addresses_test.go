package addresses_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight/addresses"
	"github.com/sealift/sealift/installer/preflight/addresses/addressestest"
)

func list(n *addressestest.Network, last ...int) []netip.Addr {
	var out []netip.Addr
	for _, i := range last {
		out = append(out, n.Address(i))
	}
	return out
}

func TestLook(t *testing.T) {
	n := addressestest.Start(t)
	s := addresses.Look(t.Context(), list(n, 1, 2, 3, 4), addresses.Options{})
	require.Equal(t, list(n, 1, 2), s.Addresses())
	require.Contains(t, s.Taken[n.Address(1)], "is this host's own")
	require.NotEmpty(t, s.Taken[n.Address(2)])
	require.Empty(t, s.Doubt)
}

func TestLookFindsWhoIsSilent(t *testing.T) {
	n := addressestest.Start(t)
	n.Silence()
	s := addresses.Look(t.Context(), list(n, 2, 3), addresses.Options{})
	require.Regexp(t, "^answers ARP from ", s.Taken[n.Address(2)])
	require.Len(t, s.Taken, 1)
	require.True(t, s.Proven[n.Address(3)])
}

func TestLookSaysWhatIsNotProven(t *testing.T) {
	far := addressestest.Start(t).Far()
	s := addresses.Look(t.Context(), []netip.Addr{far}, addresses.Options{})
	require.Empty(t, s.Taken)
	require.Equal(t, "this host is not in the network of "+far.String(), s.Doubt)
}

// A user without rights has the kernel ask, by trying to connect.
func TestLookWithoutRights(t *testing.T) {
	n := addressestest.Start(t)
	n.Silence()
	dir, err := os.MkdirTemp("/var/tmp", "preflight") // that of the test is root's alone
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	out, err := exec.Command("go", "build", "-o", dir, "./testdata/look").CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(filepath.Join(dir, "look"), n.Address(2).String(), n.Address(3).String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), n.Address(2).String()+" answers ARP from ")
	require.NotContains(t, string(out), n.Address(3).String()+" ")
}
