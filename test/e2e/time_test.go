//go:build e2e

package e2e_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timeServer answers to NTP at the site's address.
func (s *darkSite) timeServer(t *testing.T) {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(s.address, "123"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if n >= 48 {
				_, _ = conn.WriteTo(timeNow(buf[:48]), from)
			}
		}
	}()
}

// timeNow is RFC 5905's answer of a server of stratum 2.
func timeNow(request []byte) []byte {
	const since1900 = 2208988800 // seconds to the beginning of Unix's time
	now, b := time.Now(), make([]byte, 48)
	b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xec // version 4, server; stratum; poll; precision
	stamp := func(at int, t time.Time) {
		binary.BigEndian.PutUint32(b[at:], uint32(t.Unix()+since1900))
		binary.BigEndian.PutUint32(b[at+4:], uint32((int64(t.Nanosecond())<<32)/1_000_000_000))
	}
	stamp(16, now.Add(-time.Minute))
	copy(b[24:32], request[40:48])
	stamp(32, now)
	stamp(40, now)
	return b
}
