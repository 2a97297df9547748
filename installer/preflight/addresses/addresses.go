// Package addresses tells which addresses of a network are in use.
//
// Somebody is there when anything comes back: an answer to ARP, an answer to an
// ICMP echo, a TCP connection, or its refusal. Silence alone proves nothing but
// for ARP, which a host answers whatever its firewall does; it is asked for
// addresses of networks that this host is in.
package addresses

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options is how addresses are looked at. The zero value is a good default.
type Options struct {
	Ports []int         // to connect to; nil means 22, 80, 443, 3389 and 6443
	Wait  time.Duration // for an answer; 0 means 1 s
}

const (
	defaultWait = time.Second
	maxDials    = 256 // connections at once
)

// Survey is what was found.
type Survey struct {
	Taken map[netip.Addr]string // by address: how it showed
	// Proven are the addresses that ARP was asked for.
	Proven map[netip.Addr]bool
	// Doubt is why ARP was not asked for the others; "" when there are none.
	Doubt string
}

// Look asks all addresses at the same time, in every way that this process may.
func Look(ctx context.Context, list []netip.Addr, options Options) *Survey {
	if options.Ports == nil {
		options.Ports = []int{22, 80, 443, 3389, 6443}
	}
	if options.Wait == 0 {
		options.Wait = defaultWait
	}
	s := &survey{taken: map[netip.Addr]string{}, proven: map[netip.Addr]bool{}}
	s.own(list)
	var all sync.WaitGroup
	all.Go(func() { s.arp(ctx, list, options.Wait) })
	all.Go(func() { s.ping(ctx, list, options.Wait) })
	all.Go(func() { s.connect(ctx, list, options) })
	all.Wait()
	s.kernel(list)
	return &Survey{Taken: s.taken, Proven: s.proven, Doubt: s.why(list)}
}

type survey struct {
	mu      sync.Mutex
	taken   map[netip.Addr]string
	proven  map[netip.Addr]bool
	refused error // why raw packets could not be sent
}

// found notes how an address showed; the first that is noted stays.
func (s *survey) found(ip netip.Addr, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.taken[ip]; !known {
		s.taken[ip] = how
	}
}

// own notes the addresses of this host.
func (s *survey) own(list []netip.Addr) {
	for _, n := range networks() {
		if slices.Contains(list, n.prefix.Addr()) {
			s.proven[n.prefix.Addr()] = true
			s.taken[n.prefix.Addr()] = "is this host's own, on " + n.device.Name
		}
	}
}

// network is one that this host is in.
type network struct {
	device *net.Interface
	prefix netip.Prefix // with this host's address
}

func networks() []network {
	devices, err := net.Interfaces()
	if err != nil {
		return nil // then nothing is known of this host's networks, and Doubt says so
	}
	var out []network
	for _, d := range devices {
		addresses, err := d.Addrs()
		if err != nil || d.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, network{&d, prefix})
			}
		}
	}
	return out
}

// connect opens connections; one that is refused was refused by somebody.
func (s *survey) connect(ctx context.Context, list []netip.Addr, options Options) {
	group := new(errgroup.Group)
	group.SetLimit(maxDials)
	dialer := net.Dialer{Timeout: options.Wait}
	for _, port := range options.Ports {
		for _, ip := range list {
			group.Go(func() error {
				conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(ip, uint16(port)).String())
				if err == nil {
					_ = conn.Close()
					s.found(ip, fmt.Sprintf("takes connections to port %d", port))
				} else if errors.Is(err, syscall.ECONNREFUSED) {
					s.found(ip, fmt.Sprintf("refuses connections to port %d", port))
				}
				return nil
			})
		}
	}
	_ = group.Wait() // it has no errors: silence is what is hoped for
}

// why returns why ARP was not asked for some addresses.
func (s *survey) why(list []netip.Addr) string {
	at := slices.IndexFunc(list, func(ip netip.Addr) bool { return !s.proven[ip] && s.taken[ip] == "" })
	switch {
	case at < 0:
		return ""
	case s.refused != nil:
		return fmt.Sprintf("this process may not send ARP: %v", s.refused)
	default:
		return fmt.Sprintf("this host is not in the network of %s", list[at])
	}
}

// Addresses returns the addresses that are taken, in order.
func (s *Survey) Addresses() []netip.Addr {
	return slices.SortedFunc(maps.Keys(s.Taken), netip.Addr.Compare)
}
