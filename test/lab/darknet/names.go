package darknet

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sealift/sealift/internal/problem"
)

// names is the name server of a network. It answers over UDP; all of its
// answers fit in one packet.
type names struct {
	conn  net.PacketConn
	known map[string]netip.Addr // by name in small letters with a dot at the end
	back  map[string]string     // such a name by the name that leads back from its address
	log   func(format string, args ...any)

	mu     sync.Mutex
	others map[string]bool
}

// serveNames starts the name server of a site.
func serveNames(listen, own netip.Addr, opts Options) (*names, error) {
	n := &names{known: map[string]netip.Addr{}, back: map[string]string{}, others: map[string]bool{}, log: opts.Log}
	for name, address := range opts.Names {
		if !address.IsValid() {
			address = own
		}
		full := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
		n.known[full] = address
		n.back[reverse(address)] = full
	}
	conn, err := net.ListenPacket("udp", netip.AddrPortFrom(listen, 53).String())
	if err != nil {
		return nil, problem.New(problem.Preflight, "end what listens on port 53 of all addresses (ss -lunp shows it), or let it listen on some", "starting the name server: %w", err)
	}
	n.conn = conn
	go n.serve()
	return n, nil
}

func (n *names) close() { _ = n.conn.Close() } // closing twice does no harm

// asked returns the names that are none of the site's.
func (n *names) asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for name := range n.others {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.others = map[string]bool{}
}

// serve answers until the server is closed.
func (n *names) serve() {
	buf := make([]byte, 4096)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := n.answer(buf[:size]); answer != nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

// answer returns the answer to a question, or nil for what is none.
func (n *names) answer(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	name := strings.ToLower(q.Name.String())
	address, known := n.known[name]
	switch {
	case q.Type == dnsmessage.TypePTR && n.back[name] != "":
		m.Authoritative = true
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 30}, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(n.back[name])}}}
	case !known:
		m.RCode = dnsmessage.RCodeNameError
		n.note(q)
	case q.Type == dnsmessage.TypeA && address.Is4():
		m.Authoritative = true
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 30}, Body: &dnsmessage.AResource{A: address.As4()}}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// reverse returns the name that leads back from an IPv4 address.
func reverse(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
}

// note keeps a name that is none of the site's, but for those that programs
// ask for to see whether the server lives, and not to leave: CoreDNS asks for
// the root, and for a name of numbers to see whether it is itself; a node of
// kind asks for the engine's host.
func (n *names) note(q dnsmessage.Question) {
	name := q.Name.String()
	if q.Type == dnsmessage.TypeHINFO || name == "." || name == "host.docker.internal." {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.others[name] {
		n.others[name] = true
		n.log("a name that is none of the site's: %s", name)
	}
}
