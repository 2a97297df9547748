package dnsquery_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sealift/sealift/installer/preflight/dnsquery"
)

// serve answers over UDP with udp and over TCP with tcp, on port 53 of an
// address of this machine, and returns that.
func serve(t *testing.T, udp, tcp func(question []byte) []byte) string {
	for i := 1; i < 250; i++ {
		host := fmt.Sprintf("127.78.53.%d", i)
		conn, err := net.ListenPacket("udp", host+":53")
		if err != nil {
			continue // another test has it
		}
		listener, err := net.Listen("tcp", host+":53")
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close(); listener.Close() })
		go serveUDP(conn, udp)
		go serveTCP(listener, tcp)
		return host
	}
	t.Fatal("no address is free")
	return ""
}

func serveUDP(conn net.PacketConn, answer func([]byte) []byte) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(answer(buf[:n]), from)
	}
}

func serveTCP(listener net.Listener, answer func([]byte) []byte) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		var length [2]byte
		_, _ = io.ReadFull(conn, length[:])
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		_, _ = io.ReadFull(conn, question)
		data := answer(question)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(data))), data...))
		conn.Close()
	}
}

// reply answers a question as change says.
func reply(change func(*dnsmessage.Message)) func([]byte) []byte {
	return func(question []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(question) != nil {
			return nil
		}
		m.Response = true
		change(&m)
		data, _ := m.Pack()
		return data
	}
}

func a(m *dnsmessage.Message) {
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
			Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}})
	}
}

func TestAddresses(t *testing.T) {
	server := serve(t, reply(a), reply(a))
	found, err := dnsquery.Addresses(t.Context(), server, "host.example")
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.7")}, found)
	_, err = dnsquery.Addresses(t.Context(), server, strings.Repeat("long.", 60))
	require.Error(t, err)
	_, err = dnsquery.Names(t.Context(), server, netip.MustParseAddr("192.0.2.7"))
	require.ErrorIs(t, err, dnsquery.ErrNoName, "an answer without names")
}

func TestAnswerThatDoesNotFit(t *testing.T) {
	server := serve(t, reply(func(m *dnsmessage.Message) { m.Truncated = true }), reply(a))
	found, err := dnsquery.Addresses(t.Context(), server, "host.example")
	require.NoError(t, err)
	require.Len(t, found, 1)
}

func TestAnswersOfOthersAreNotTaken(t *testing.T) {
	server := serve(t, reply(func(m *dnsmessage.Message) { a(m); m.ID++ }), reply(a))
	_, err := dnsquery.Addresses(t.Context(), server, "host.example")
	require.ErrorContains(t, err, "timeout")
}

func TestErrorsOfAServer(t *testing.T) {
	for code, want := range map[dnsmessage.RCode]error{dnsmessage.RCodeNameError: dnsquery.ErrNoName, dnsmessage.RCodeServerFailure: dnsquery.ErrServer,
		dnsmessage.RCodeRefused: dnsquery.ErrServer} {
		server := serve(t, reply(func(m *dnsmessage.Message) { m.RCode = code }), reply(a))
		_, err := dnsquery.Addresses(t.Context(), server, "host.example")
		require.ErrorIs(t, err, want)
	}
}

func TestNames(t *testing.T) {
	asked := make(chan string, 8)
	ptr := reply(func(m *dnsmessage.Message) {
		q := m.Questions[0]
		asked <- q.Name.String()
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
			Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("host.example.")}}}
	})
	server := serve(t, ptr, ptr)
	for ip, want := range map[string]string{
		"192.0.2.7":   "7.2.0.192.in-addr.arpa.",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
	} {
		names, err := dnsquery.Names(t.Context(), server, netip.MustParseAddr(ip))
		require.NoError(t, err)
		require.Equal(t, []string{"host.example"}, names)
		require.Equal(t, want, <-asked)
	}
}
