package addresses

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/packet"
)

// ARP over Ethernet for IPv4: RFC 826. Its requests are probes, RFC 5227: the
// sender's address is zero, so that nobody's table changes.
const (
	etherTypeARP = 0x0806
	packetSize   = 28
	opRequest    = 1
	opReply      = 2
	probes       = 3 // as many as RFC 5227 sends
)

func request(from net.HardwareAddr, target netip.Addr) []byte {
	b := make([]byte, packetSize)
	binary.BigEndian.PutUint16(b[0:], 1)      // Ethernet
	binary.BigEndian.PutUint16(b[2:], 0x0800) // IPv4
	b[4], b[5] = 6, 4
	binary.BigEndian.PutUint16(b[6:], opRequest)
	copy(b[8:], from)
	copy(b[24:], target.AsSlice())
	return b
}

// reply returns who answers for which address.
func reply(b []byte) (mac net.HardwareAddr, ip netip.Addr, ok bool) {
	if len(b) < packetSize || binary.BigEndian.Uint16(b[0:]) != 1 || binary.BigEndian.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 ||
		binary.BigEndian.Uint16(b[6:]) != opReply {
		return nil, ip, false
	}
	ip, ok = netip.AddrFromSlice(b[14:18])
	return slices.Clone(net.HardwareAddr(b[8:14])), ip, ok
}

// arp asks on every device for the addresses of its networks.
func (s *survey) arp(ctx context.Context, list []netip.Addr, wait time.Duration) {
	var all sync.WaitGroup
	for device, targets := range onLink(list) {
		if len(device.HardwareAddr) != 6 {
			continue
		}
		all.Go(func() {
			if err := s.ask(ctx, device, targets, wait); err != nil {
				s.mu.Lock()
				s.refused = err
				s.mu.Unlock()
			}
		})
	}
	all.Wait()
}

// onLink divides addresses by the device whose network they are in.
func onLink(list []netip.Addr) map[*net.Interface][]netip.Addr {
	out := map[*net.Interface][]netip.Addr{}
	for _, n := range networks() {
		for _, ip := range list {
			if ip.Is4() && n.prefix.Contains(ip) && n.prefix.Addr() != ip && n.device.Flags&net.FlagLoopback == 0 {
				out[n.device] = append(out[n.device], ip)
			}
		}
	}
	return out
}

// ask sends probes, and listens until the wait after the last is over.
func (s *survey) ask(ctx context.Context, device *net.Interface, targets []netip.Addr, wait time.Duration) error {
	conn, err := packet.Listen(device, packet.Datagram, etherTypeARP, nil)
	if err != nil {
		var call *os.SyscallError
		if errors.As(err, &call) {
			err = call.Err
		}
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(ctx, conn, device.HardwareAddr, targets, wait) }()
	s.listen(conn, targets)
	if err := <-sent; err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ip := range targets {
		s.proven[ip] = true
	}
	return nil
}

func send(ctx context.Context, conn *packet.Conn, from net.HardwareAddr, targets []netip.Addr, wait time.Duration) error {
	everybody := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	for range probes {
		for _, ip := range targets {
			if _, err := conn.WriteTo(request(from, ip), everybody); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait / (probes + 1)):
		}
	}
	return nil
}

// listen notes answers until the deadline of the connection.
func (s *survey) listen(conn net.PacketConn, targets []netip.Addr) {
	buf := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if mac, ip, ok := reply(buf[:n]); ok && slices.Contains(targets, ip) {
			s.found(ip, "answers ARP from "+mac.String())
		}
	}
}

// kernel reads what the kernel itself learned while connections were tried:
// it asks by ARP for everybody, whoever the user is.
func (s *survey) kernel(list []netip.Addr) {
	f, err := os.Open("/proc/net/arp")
	if err != nil {
		return // no Linux: what was found stands
	}
	defer f.Close() //nolint:errcheck // opened for reading
	const complete = "0x2"
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // address, type, flags, hardware address, mask, device
		if len(fields) < 6 {
			continue
		}
		ip, err := netip.ParseAddr(fields[0])
		if err != nil || !slices.Contains(list, ip) {
			continue
		}
		s.proven[ip] = true
		if fields[2] == complete {
			s.found(ip, "answers ARP from "+fields[3])
		}
	}
}
