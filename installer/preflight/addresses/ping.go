package addresses

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ping sends an ICMP echo to every address. Where the process may not, it does
// without: connections and ARP say more.
func (s *survey) ping(ctx context.Context, list []netip.Addr, wait time.Duration) {
	var four, six []netip.Addr
	for _, ip := range list {
		if ip.Is4() {
			four = append(four, ip)
		} else {
			six = append(six, ip)
		}
	}
	s.echo(ctx, four, wait, []string{"ip4:icmp", "udp4"}, "0.0.0.0", ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply)
	s.echo(ctx, six, wait, []string{"ip6:ipv6-icmp", "udp6"}, "::", ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply)
}

// echo takes the first of the networks that it may use.
func (s *survey) echo(ctx context.Context, list []netip.Addr, wait time.Duration, networks []string, local string, ask, answer icmp.Type) {
	for _, network := range networks {
		if len(list) == 0 || ctx.Err() != nil {
			return
		}
		conn, err := icmp.ListenPacket(network, local)
		if err != nil {
			continue
		}
		s.exchange(conn, list, wait, network[:3] == "udp", ask, answer)
		_ = conn.Close()
		return
	}
}

func (s *survey) exchange(conn *icmp.PacketConn, list []netip.Addr, wait time.Duration, datagram bool, ask, answer icmp.Type) {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return
	}
	wanted := map[netip.Addr]bool{}
	for i, ip := range list {
		wanted[ip] = true
		message := icmp.Message{Type: ask, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: i, Data: []byte("sealift")}}
		data, err := message.Marshal(nil)
		if err != nil {
			return
		}
		var to net.Addr = &net.IPAddr{IP: ip.AsSlice()}
		if datagram {
			to = &net.UDPAddr{IP: ip.AsSlice()}
		}
		_, _ = conn.WriteTo(data, to) // an address that cannot be reached does not answer
	}
	buf := make([]byte, 1500)
	for {
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if m, err := icmp.ParseMessage(answer.Protocol(), buf[:n]); err != nil || m.Type != answer {
			continue
		}
		if ip := addressOf(peer); wanted[ip] {
			s.found(ip, "answers to ping")
		}
	}
}

func addressOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch v := a.(type) {
	case *net.IPAddr:
		ip = v.IP
	case *net.UDPAddr:
		ip = v.IP
	}
	out, _ := netip.AddrFromSlice(ip)
	return out.Unmap()
}
