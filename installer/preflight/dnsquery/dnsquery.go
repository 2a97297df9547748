// Package dnsquery asks one name server one question. Unlike a resolver it uses
// no file of this host and no other server, so that the answer is what a node
// would get.
package dnsquery

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Errors of an answer, to be matched with errors.Is.
var (
	ErrNoName = errors.New("there is no such name")
	ErrServer = errors.New("the name server cannot answer")
)

const (
	port     = "53"
	maxSize  = 1232 // bytes of a UDP answer
	tries    = 2
	patience = 2 * time.Second // for one answer over UDP
)

// Addresses returns the addresses of a name, IPv4 first. It fails with ErrNoName
// when there are none.
func Addresses(ctx context.Context, server, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		answers, err := ask(ctx, server, name, kind)
		if err != nil && !errors.Is(err, ErrNoName) {
			return nil, err
		}
		for _, a := range answers {
			switch body := a.Body.(type) {
			case *dnsmessage.AResource:
				out = append(out, netip.AddrFrom4(body.A))
			case *dnsmessage.AAAAResource:
				out = append(out, netip.AddrFrom16(body.AAAA))
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s at %s: %w", name, server, ErrNoName)
	}
	return out, nil
}

// Names returns the names of an address, without the dot at their end. It fails
// with ErrNoName when there are none.
func Names(ctx context.Context, server string, ip netip.Addr) ([]string, error) {
	answers, err := ask(ctx, server, reverse(ip), dnsmessage.TypePTR)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range answers {
		if body, ok := a.Body.(*dnsmessage.PTRResource); ok {
			out = append(out, strings.TrimSuffix(body.PTR.String(), "."))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s at %s: %w", ip, server, ErrNoName)
	}
	return out, nil
}

// reverse returns the name under which an address's names stand.
func reverse(ip netip.Addr) string {
	const hex = "0123456789abcdef"
	var labels []string
	if ip.Is4() {
		for _, b := range ip.AsSlice() {
			labels = append(labels, fmt.Sprint(b))
		}
		slices.Reverse(labels)
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	for _, b := range ip.AsSlice() {
		labels = append(labels, hex[b>>4:b>>4+1], hex[b&15:b&15+1])
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + ".ip6.arpa"
}

// ask sends one question, over UDP and, where the answer does not fit, TCP.
func ask(ctx context.Context, server, name string, kind dnsmessage.Type) ([]dnsmessage.Resource, error) {
	question, id, err := pack(name, kind)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	var answer *dnsmessage.Message
	for try := 0; ; try++ {
		answer, err = exchange(ctx, "udp", server, question, id)
		if err == nil || try+1 == tries || ctx.Err() != nil {
			break
		}
	}
	if err == nil && answer.Truncated {
		answer, err = exchange(ctx, "tcp", server, question, id)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for %s: %w", server, name, err)
	}
	switch answer.RCode {
	case dnsmessage.RCodeSuccess:
		return answer.Answers, nil
	case dnsmessage.RCodeNameError:
		return nil, fmt.Errorf("%s at %s: %w", name, server, ErrNoName)
	default:
		return nil, fmt.Errorf("asking %s for %s: %w: %s", server, name, ErrServer, strings.TrimPrefix(answer.RCode.String(), "RCode"))
	}
}

func pack(name string, kind dnsmessage.Type) (data []byte, id uint16, err error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, 0, err
	}
	id = uint16(rand.Uint32())
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: full, Type: kind, Class: dnsmessage.ClassINET}}}
	data, err = m.Pack()
	return data, id, err
}

func exchange(ctx context.Context, network, server string, question []byte, id uint16) (*dnsmessage.Message, error) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(server, port))
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // the answer is read
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if network == "tcp" {
		question = append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	for {
		data, err := receive(conn, network)
		if err != nil {
			return nil, err
		}
		var m dnsmessage.Message
		if m.Unpack(data) == nil && m.ID == id && m.Response {
			return &m, nil
		}
	}
}

func receive(conn net.Conn, network string) ([]byte, error) {
	if network == "udp" {
		buf := make([]byte, maxSize)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, buf)
	return buf, err
}
