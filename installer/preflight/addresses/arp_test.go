package addresses

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReply(t *testing.T) {
	here, there := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	ip := netip.MustParseAddr("192.0.2.7")
	question := request(here, ip)
	_, _, ok := reply(question)
	require.False(t, ok, "a question is no answer")
	require.Equal(t, make([]byte, 4), question[14:18], "a probe has no sender's address")

	answer := append([]byte(nil), question...)
	answer[7] = opReply
	copy(answer[8:], there)
	copy(answer[14:], ip.AsSlice())
	mac, from, ok := reply(append(answer, make([]byte, 18)...)) // Ethernet pads
	require.True(t, ok)
	require.Equal(t, there, mac)
	require.Equal(t, ip, from)
	for i := range 7 {
		broken := append([]byte(nil), answer...)
		broken[i] ^= 0x40
		_, _, ok = reply(broken)
		require.False(t, ok, "byte %d", i)
	}
}

func FuzzReply(f *testing.F) {
	f.Add(request(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.7")))
	f.Fuzz(func(t *testing.T, data []byte) {
		mac, ip, ok := reply(data)
		if ok {
			require.Len(t, mac, 6)
			require.True(t, ip.Is4())
		}
	})
}
