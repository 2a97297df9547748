// Package darknet makes networks without a way out in the lab's engine.
//
// Nodes on such a network reach each other and this machine's address on it,
// where a test puts what a site has: a registry, a vCenter. They have a default
// route like any node, but it ends in a black hole: what they send anywhere
// else is dropped, counted and logged by a table of nftables of the network's
// own. A name server on the network knows the names of the site, and keeps
// every other name that it is asked for. A test that ends with Attempts empty
// has shown that nothing wanted to leave.
package darknet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/engine"
)

// Label marks the engine's networks that this package has made.
const Label = "test.sealift.lab.darknet"

// Options is what a network is like. The zero value is a network whose name
// server knows no name.
type Options struct {
	// Names are the names of the site, such as registry.north.example. The
	// invalid address stands for this machine's own on the network.
	Names map[string]netip.Addr
	// Clusters are the networks of pods and services; nil means 10.96.0.0/12 and
	// 10.244.0.0/16, which kubeadm and kind use. What is sent there comes out on the network while a
	// service's rules are not written yet: it is dropped, and no attempt.
	Clusters []netip.Prefix
	// Log is told of every name and of what is left behind; nil means nobody.
	Log func(format string, args ...any)
}

// Network is a network without a way out. Its methods may be called from
// several goroutines.
type Network struct {
	Name       string       // in the engine
	Prefix     netip.Prefix // of all its addresses
	Address    netip.Addr   // of this machine: servers of the site listen here
	NameServer netip.Addr   // of the site's name server, for resolv.conf

	engine *engine.Engine
	rules  rules
	names  *names
}

// Attempts is what tried to leave.
type Attempts struct {
	Packets int      // that were dropped
	Flows   []string // between whom, as "172.18.0.2 > 192.0.2.1 3", with their packets
	Names   []string // that are none of the site's, sorted
}

// Empty tells whether nothing tried.
func (a Attempts) Empty() bool { return a.Packets == 0 && len(a.Names) == 0 }

// Create makes a network. What an interrupted run left under its name is
// removed first. Several networks can be there at once, under different names.
func Create(ctx context.Context, e *engine.Engine, name string, opts Options) (*Network, error) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`).MatchString(name) {
		return nil, problem.New(problem.Usage, "use small letters, digits and dashes, at most 40", "%q is no name of a network", name)
	}
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	if opts.Clusters == nil {
		opts.Clusters = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12"), netip.MustParsePrefix("10.244.0.0/16")}
	}
	n := &Network{Name: name, engine: e, rules: rules{table: "sealift-" + name, bridge: bridge(name)}}
	if err := n.Close(ctx); err != nil {
		return nil, fmt.Errorf("removing what is left of network %s: %w", name, err)
	}
	if err := n.create(ctx, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("making network %s: %w", name, err), n.Close(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// bridge returns the name of this machine's interface of a network; the kernel
// allows 15 characters.
func bridge(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "dark-" + hex.EncodeToString(sum[:5])
}

// create makes what Close removes. The rules come first: there is no moment in
// which something can leave.
func (n *Network) create(ctx context.Context, opts Options) error {
	if err := n.rules.write(ctx, opts.Clusters); err != nil {
		return err
	}
	if err := n.allocate(ctx); err != nil {
		return err
	}
	if err := n.rules.open(ctx, n.Prefix); err != nil {
		return err
	}
	if err := addAddress(ctx, n.rules.bridge, n.NameServer); err != nil {
		return err
	}
	var err error
	n.names, err = serveNames(n.NameServer, n.Address, opts)
	return err
}

// tries is how often a range that the engine has chosen may be taken by
// somebody else before it is asked for by name.
const tries = 5

// allocate makes the engine's network in a range that the engine chooses. The
// engine gives addresses of its lower half only: the upper is for the site.
func (n *Network) allocate(ctx context.Context) error {
	var failed error
	for range tries {
		if err := n.network(ctx); err != nil {
			return err
		}
		subnet, err := n.engine.Run(ctx, "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", n.Name)
		if err != nil {
			return err
		}
		if n.Prefix, err = netip.ParsePrefix(subnet); err != nil || n.Prefix.Bits() > 24 {
			return fmt.Errorf("the engine gave %s, and a network of 256 addresses or more is needed", subnet)
		}
		n.Address, n.NameServer = n.Prefix.Addr().Next(), last(n.Prefix)
		if _, err := n.engine.Run(ctx, "network", "rm", n.Name); err != nil {
			return err
		}
		lower := netip.PrefixFrom(n.Prefix.Addr(), n.Prefix.Bits()+1)
		if failed = n.network(ctx, "--subnet", subnet, "--ip-range", lower.String(), "--gateway", n.Address.String()); failed == nil {
			return nil
		}
	}
	return failed
}

func (n *Network) network(ctx context.Context, args ...string) error {
	create := []string{"network", "create", "--label", Label, "--opt", "com.docker.network.bridge.name=" + n.rules.bridge,
		"--opt", "com.docker.network.bridge.enable_ip_masquerade=false"}
	_, err := n.engine.Run(ctx, append(append(create, args...), n.Name)...)
	return explain(err)
}

// explain adds a remedy where the engine has no range of addresses left.
func explain(err error) error {
	if err == nil || !strings.Contains(err.Error(), "address pool") {
		return err
	}
	return problem.WithRemedy(err, "remove networks that nobody uses: docker network ls, docker network rm")
}

// last returns the last address of an IPv4 network that a host can have.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b).Prev()
}

// Pool returns addresses that the engine gives to nobody, for machines and
// virtual addresses: the first count of the network's upper half.
func (n *Network) Pool(count int) []netip.Addr {
	b := n.Prefix.Addr().As4()
	b[n.Prefix.Bits()/8] |= 0x80 >> (n.Prefix.Bits() % 8)
	var out []netip.Addr
	for a := netip.AddrFrom4(b).Next(); len(out) < count && a.Less(n.NameServer); a = a.Next() {
		out = append(out, a)
	}
	return out
}

// Attempts returns what tried to leave so far.
func (n *Network) Attempts(ctx context.Context) (Attempts, error) {
	a, err := n.rules.attempts(ctx)
	if err != nil {
		return Attempts{}, fmt.Errorf("counting what tried to leave network %s: %w", n.Name, err)
	}
	a.Names = n.names.asked()
	return a, nil
}

// Forget lets Attempts begin anew: after an attempt that a test has made itself,
// to see that it is counted.
func (n *Network) Forget(ctx context.Context) error {
	if err := n.rules.forget(ctx); err != nil {
		return fmt.Errorf("forgetting what tried to leave network %s: %w", n.Name, err)
	}
	n.names.forget()
	return nil
}

// Close removes the network, and its host if there still is one. It fails while
// containers are on it.
func (n *Network) Close(ctx context.Context) error {
	if n.names != nil {
		n.names.close()
	}
	if err := n.host(netip.Addr{}).Close(ctx); err != nil {
		return err
	}
	out, err := n.engine.Run(ctx, "network", "ls", "--quiet", "--filter", "name=^"+n.Name+"$", "--filter", "label="+Label)
	if err != nil {
		return err
	}
	if out != "" {
		if _, err := n.engine.Run(ctx, append([]string{"network", "rm"}, strings.Fields(out)...)...); err != nil {
			return err
		}
	}
	return n.rules.remove(ctx)
}

// Clean removes all networks of this package that are left, of whatever name.
func Clean(ctx context.Context, e *engine.Engine) error {
	out, err := e.Run(ctx, "network", "ls", "--format", "{{.Name}}", "--filter", "label="+Label)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(out) {
		n := &Network{Name: name, engine: e, rules: rules{table: "sealift-" + name, bridge: bridge(name)}}
		if err := n.Close(ctx); err != nil {
			return fmt.Errorf("removing network %s: %w", name, err)
		}
	}
	return nil
}
