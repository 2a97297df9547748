package darknet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/engine/enginetest"
)

// needEngine returns the engine that runs, and skips where there is none, or
// nobody may change its networks' rules.
func needEngine(t *testing.T) *engine.Engine {
	t.Helper()
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("slow, and needs root: makes networks and containers")
	}
	e, err := engine.Find(t.Context())
	if err != nil {
		t.Skip("no engine for networks: ", err)
	}
	if _, err := nft(t.Context(), "", "list", "tables"); err != nil {
		t.Skip(err)
	}
	return e
}

func name(suffix string) string { return "darknet-test-" + strconv.Itoa(os.Getpid()) + suffix }

func create(t *testing.T, e *engine.Engine, name string, opts Options) *Network {
	t.Helper()
	opts.Log = t.Logf
	n, err := Create(t.Context(), e, name, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
	return n
}

func attempts(t *testing.T, n *Network) Attempts {
	t.Helper()
	a, err := n.Attempts(t.Context())
	require.NoError(t, err)
	return a
}

func TestNetworksSideBySide(t *testing.T) {
	e := needEngine(t)
	a := create(t, e, name("-a"), Options{})
	b := create(t, e, name("-b"), Options{})
	require.False(t, a.Prefix.Overlaps(b.Prefix))
	require.True(t, a.Prefix.Contains(a.Address) && a.Prefix.Contains(a.NameServer))
	require.True(t, attempts(t, a).Empty())
	pool := a.Pool(5)
	require.Len(t, pool, 5)
	for _, address := range pool {
		require.True(t, a.Prefix.Contains(address))
	}
}

func TestNamesAreKept(t *testing.T) {
	own := netip.MustParseAddr("127.0.0.1")
	n := &names{known: map[string]netip.Addr{"registry.north.example.": own}, others: map[string]bool{}, log: t.Logf}
	ask := func(name string, kind dnsmessage.Type) dnsmessage.Message {
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
		data, err := q.Pack()
		require.NoError(t, err)
		var m dnsmessage.Message
		require.NoError(t, m.Unpack(n.answer(data)))
		require.EqualValues(t, 7, m.ID)
		return m
	}
	m := ask("Registry.north.example.", dnsmessage.TypeA)
	require.Equal(t, &dnsmessage.AResource{A: own.As4()}, m.Answers[0].Body)
	m = ask("registry.north.example.", dnsmessage.TypeAAAA)
	require.Equal(t, dnsmessage.RCodeSuccess, m.RCode)
	require.Empty(t, m.Answers)
	require.Equal(t, dnsmessage.RCodeNameError, ask("registry.k8s.io.", dnsmessage.TypeA).RCode)
	ask("registry.k8s.io.", dnsmessage.TypeA)
	ask("ghcr.io.", dnsmessage.TypeAAAA)
	for _, probe := range []string{".", "host.docker.internal."} {
		ask(probe, dnsmessage.TypeA)
	}
	require.Equal(t, []string{"ghcr.io.", "registry.k8s.io."}, n.asked())
	n.forget()
	require.Empty(t, n.asked())
	require.Nil(t, n.answer([]byte("no question")))
}

func FuzzAnswer(f *testing.F) {
	q := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("a.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	data, err := q.Pack()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) {
		n := &names{known: map[string]netip.Addr{}, others: map[string]bool{}, log: func(string, ...any) {}}
		n.answer(data)
	})
}

// The packets of a container that has a default route.
func TestPacketsThatTryToLeaveAreCounted(t *testing.T) {
	e := needEngine(t)
	n := create(t, e, name(""), Options{Names: map[string]netip.Addr{"registry.north.example": {}}})
	other, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer other.Close()
	g := newGuest(t, e, n)

	g.dial(n.Address.String(), other) // the site
	require.True(t, attempts(t, n).Empty(), "the site may be reached")
	require.True(t, g.reached)

	g.dial("192.0.2.1", other)
	require.False(t, g.reached)
	a := attempts(t, n)
	require.Positive(t, a.Packets)
	require.Len(t, a.Flows, 1)
	require.Contains(t, a.Flows[0], " > 192.0.2.1 ")

	outside := outsideAddress(t)
	g.dial(outside, other)
	require.False(t, g.reached, "this machine's other addresses are outside too")
	require.Len(t, attempts(t, n).Flows, 2)

	before := attempts(t, n).Packets
	g.dial("10.96.0.1", other)
	require.False(t, g.reached)
	require.Equal(t, before, attempts(t, n).Packets, "the cluster's own network is no attempt")

	require.NoError(t, n.Forget(t.Context()))
	require.True(t, attempts(t, n).Empty())
	require.Empty(t, attempts(t, n).Flows)
}

// guest is a program in a container on a network.
type guest struct {
	t       *testing.T
	e       *engine.Engine
	network *Network
	reached bool // by the last dial
}

func newGuest(t *testing.T, e *engine.Engine, n *Network) *guest {
	enginetest.Image(t, e, n.Name, "./testdata/guest")
	return &guest{t: t, e: e, network: n}
}

// dial reaches for the port of a server at an address.
func (g *guest) dial(host string, server net.Listener) {
	_, port, err := net.SplitHostPort(server.Addr().String())
	require.NoError(g.t, err)
	_, err = g.e.Run(g.t.Context(), "run", "--rm", "--network", g.network.Name, g.network.Name, net.JoinHostPort(host, port))
	g.reached = err == nil
}

// outsideAddress returns an address of this machine that is on no network of the engine.
func outsideAddress(t *testing.T) string {
	conn, err := net.DialTimeout("udp", "192.0.2.1:9", time.Second)
	require.NoError(t, err)
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	require.NoError(t, err)
	return host
}

func TestNamesOfNetworks(t *testing.T) {
	for _, bad := range []string{"", "A", "a b", "a;b", "-a", "a\nb"} {
		_, err := Create(t.Context(), nil, bad, Options{})
		require.ErrorContains(t, err, "is no name of a network", bad)
		require.Equal(t, problem.Usage, problem.KindOf(err))
	}
	require.LessOrEqual(t, len(bridge("a-name-that-is-much-longer-than-any")), 15)
}

func TestPortOfTheNameServerIsTaken(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("port 53 needs root")
	}
	address := netip.MustParseAddr("127.53.0.1")
	taken, err := serveNames(address, address, Options{})
	require.NoError(t, err)
	defer taken.close()
	_, err = serveNames(address, address, Options{})
	require.ErrorContains(t, err, "starting the name server: listen udp 127.53.0.1:53: bind: address already in use")
	require.Contains(t, problem.Remedies(err)[0], "end what listens on port 53")
}

func TestNoRangeIsLeft(t *testing.T) {
	require.NoError(t, explain(nil))
	require.Empty(t, problem.Remedies(explain(errors.New("no engine"))))
	err := explain(errors.New("could not find an available, non-overlapping IPv4 address pool among the defaults"))
	require.Contains(t, problem.Remedies(err)[0], "docker network rm")
}

func TestMissingNftablesIsSaid(t *testing.T) {
	_, err := run(t.Context(), "", "nftables", "no-such-program")
	require.Equal(t, []string{"apt-get install nftables"}, problem.Remedies(err))
}

func TestAttemptsAsNftPrintsThem(t *testing.T) {
	a, err := parseAttempts([]byte(`{"nftables":[{"metainfo":{}},{"counter":{"name":"attempts","packets":4}},
		{"set":{"name":"flows","elem":[{"elem":{"val":{"concat":["172.18.0.2","192.0.2.1"]},"counter":{"packets":4,"bytes":1}}}]}}]}`))
	require.NoError(t, err)
	require.Equal(t, Attempts{Packets: 4, Flows: []string{"172.18.0.2 > 192.0.2.1 4"}}, a)
	_, err = parseAttempts([]byte(`{"nftables":[]}`))
	require.ErrorContains(t, err, "the counter is gone")
	_, err = parseAttempts([]byte(`{`))
	require.Error(t, err)
	_, err = parseAttempts([]byte(`{"nftables":[{"set":{"name":"flows","elem":["x"]}}]}`))
	require.ErrorContains(t, err, "a flow that is none")
}

func TestLast(t *testing.T) {
	require.Equal(t, "172.18.255.254", last(netip.MustParsePrefix("172.18.0.0/16")).String())
	require.Equal(t, "192.168.16.254", last(netip.MustParsePrefix("192.168.16.0/24")).String())
	require.Equal(t, "192.168.31.254", last(netip.MustParsePrefix("192.168.16.0/20")).String())
}
