package preflight_test

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/preflight/addresses/addressestest"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/sites"
)

// lab is a site of this machine with a name server and a time server.
type lab struct {
	*sites.Lab
	t        *testing.T
	requests *registries.Requests
	names    *nameServer
	clock    *timeServer
	env      map[string]string
	text     string // site.yaml
	network  *addressestest.Network
	options  preflight.Options
}

// TestMain keeps this machine's own credentials out.
func TestMain(m *testing.M) {
	if err := os.Setenv("DOCKER_CONFIG", "/nonexistent"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// newLab lets the test run beside others: most of a run is waiting.
func newLab(t *testing.T) *lab {
	l := newLabWith(t, sites.Options{})
	t.Parallel()
	return l
}

// newLabWith takes another vCenter, or a layer before the registry. Tests that run
// beside others begin to after it: the simulator of vCenters has variables that
// each start writes.
func newLabWith(t *testing.T, opts sites.Options) *lab {
	l := &lab{t: t, requests: registries.NewRequests(), names: newNameServer(t), clock: newTimeServer(t), network: addressestest.Start(t)}
	wrap := opts.Wrap
	opts.Wrap = func(h http.Handler) http.Handler {
		if wrap != nil {
			h = wrap(h)
		}
		return l.requests.Wrap(h)
	}
	l.Lab = sites.Start(t, opts)
	l.env = l.Environment()
	s := l.Site
	s.Registry.CAFile, s.VCenter.CAFile = filepath.Base(s.Registry.CAFile), filepath.Base(s.VCenter.CAFile)
	s.Network = sites.Network{Endpoint: l.network.Address(10).String(), Nameservers: []string{l.names.address}, SearchDomains: []string{"north.example"}, NTP: []string{l.clock.address}}
	s.Template, s.Hostname = "node-1.34", "console.north.example"
	l.text = s.Text(t)
	l.options.Dir = filepath.Join(l.Dir, "state")
	l.names.add("console.north.example", "192.0.2.1")
	return l
}

// edit replaces texts of site.yaml.
func (l *lab) edit(pairs ...string) {
	l.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(l.t, l.text, pairs[i])
		l.text = strings.Replace(l.text, pairs[i], pairs[i+1], 1)
	}
}

// run makes all checks and returns the results by name.
func (l *lab) run() map[string]preflight.Result {
	l.t.Helper()
	s, err := site.Parse([]byte(l.text), l.Dir)
	require.NoError(l.t, err)
	l.options.Login = site.LoginOptions{Getenv: func(name string) string { return l.env[name] }}
	before := len(l.VCenter.Sessions())
	report, err := preflight.Run(l.t.Context(), s, l.options)
	require.NoError(l.t, err)
	require.Len(l.t, l.VCenter.Sessions(), before, "a session was left")
	out := map[string]preflight.Result{}
	for _, c := range report.Checks {
		out[c.Name] = c
		for _, secret := range []string{l.env["V_PASSWORD"], l.env["R_PASSWORD"]} {
			if len(secret) > 4 {
				require.NotContains(l.t, c.Evidence+c.Remedy, secret)
			}
		}
		if c.State == preflight.Failed {
			require.NotEmpty(l.t, c.Remedy, "%s: %s", c.Name, c.Evidence)
		}
	}
	return out
}

// require runs and compares one check.
func (l *lab) require(name string, state preflight.State, evidence string) map[string]preflight.Result {
	l.t.Helper()
	all := l.run()
	requireState(l.t, all[name], state, evidence)
	return all
}

func requireState(t *testing.T, r preflight.Result, state preflight.State, evidence string) {
	t.Helper()
	require.Equal(t, state, r.State, "%s: %s", r.Name, r.Evidence)
	require.Contains(t, r.Evidence, evidence)
}

// nameServer is a DNS server on port 53 of an address of this machine.
type nameServer struct {
	address string
	mu      sync.Mutex
	hosts   map[string][]netip.Addr
	names   map[netip.Addr]string
	wild    map[string]netip.Addr // by domain
	refuse  bool
}

func newNameServer(t *testing.T) *nameServer {
	s := &nameServer{hosts: map[string][]netip.Addr{}, names: map[netip.Addr]string{}, wild: map[string]netip.Addr{}}
	var conn net.PacketConn
	for i := byte(1); ; i++ { // another test may have one
		require.Less(t, i, byte(250))
		s.address = netip.AddrFrom4([4]byte{127, 77, 53, i}).String()
		var err error
		if conn, err = net.ListenPacket("udp", s.address+":53"); err == nil {
			break
		}
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := s.answer(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return s
}

// add gives a host an address, both ways.
func (s *nameServer) add(host, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := netip.MustParseAddr(address)
	s.hosts[host] = append(s.hosts[host], ip)
	s.names[ip] = host
}

// set changes the server's records.
func (s *nameServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *nameServer) answer(question []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
	found := s.hosts[name]
	if _, domain, _ := strings.Cut(name, "."); s.wild[domain].IsValid() {
		found = append(found, s.wild[domain])
	}
	for _, ip := range found {
		m.RCode = dnsmessage.RCodeSuccess
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}})
		}
	}
	for ip, host := range s.names {
		b := ip.As4()
		if q.Type == dnsmessage.TypePTR && name == netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}).String()+".in-addr.arpa" {
			m.RCode = dnsmessage.RCodeSuccess
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(host + ".")}})
		}
	}
	if s.refuse {
		m.RCode, m.Answers = dnsmessage.RCodeRefused, nil
	}
	out, _ := m.Pack()
	return out
}

// timeServer is an NTP server whose clock may be wrong.
type timeServer struct {
	address string
	mu      sync.Mutex
	ahead   time.Duration
}

func newTimeServer(t *testing.T) *timeServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	s := &timeServer{address: conn.LocalAddr().String()}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if n >= 48 {
				_, _ = conn.WriteTo(s.answer(buf[:48]), from)
			}
		}
	}()
	return s
}

// answer is RFC 5905's packet: a server of stratum 2.
func (s *timeServer) answer(request []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.ahead)
	b := make([]byte, 48)
	b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xec
	stamp := func(at int, t time.Time) {
		binary.BigEndian.PutUint32(b[at:], uint32(t.Unix()+2208988800))
		binary.BigEndian.PutUint32(b[at+4:], uint32((int64(t.Nanosecond())<<32)/1_000_000_000))
	}
	stamp(16, now.Add(-time.Minute))
	copy(b[24:32], request[40:48])
	stamp(32, now)
	stamp(40, now)
	return b
}
