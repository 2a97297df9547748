package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/sealift/sealift/installer/preflight/dnsquery"
)

func (e *examination) dnsChecks() []check {
	return []check{
		{name: "dns-servers", run: e.dnsServers},
		{name: "dns-forward", needs: []string{"dns-servers"}, run: e.dnsForward},
		{name: "dns-reverse", needs: []string{"dns-forward"}, run: e.dnsReverse},
		{name: "dns-search", needs: []string{"dns-servers"}, run: e.dnsSearch},
	}
}

// named is a host of the site that has a name, and what it is.
type namedHost struct{ what, name string }

// hosts returns the hosts that nodes look up, without those that are addresses.
func (e *examination) hosts() []namedHost {
	spec := e.site.Spec
	all := []namedHost{{"the vCenter", spec.VCenter.Server}, {"the registry", spec.Registry.Endpoint}, {"the console", spec.Console.Hostname}}
	for _, server := range spec.Network.NTP {
		all = append(all, namedHost{"a time server", server})
	}
	var out []namedHost
	for _, h := range all {
		if host, _, err := net.SplitHostPort(h.name); err == nil {
			h.name = host
		}
		if _, err := netip.ParseAddr(strings.Trim(h.name, "[]")); err != nil && h.name != "" {
			out = append(out, h)
		}
	}
	return out
}

func (e *examination) dnsServers(ctx context.Context) finding {
	servers, hosts := e.site.Spec.Network.Nameservers, e.hosts()
	switch {
	case len(servers) == 0 && e.site.Spec.Network.Addresses.DHCP:
		return skipped("the nodes get their name servers by DHCP")
	case len(servers) == 0 && len(hosts) == 0:
		return skipped("every host of the site is an address")
	case len(servers) == 0:
		return failed("name the site's name servers in spec.network.nameservers", "no name server is named, and %s is %s", hosts[0].what, hosts[0].name)
	}
	name := "localhost"
	if len(hosts) > 0 {
		name = hosts[0].name
	}
	var silent []string
	for _, server := range servers {
		if _, err := dnsquery.Addresses(ctx, server, name); err != nil && !errors.Is(err, dnsquery.ErrNoName) && !errors.Is(err, dnsquery.ErrServer) {
			silent = append(silent, err.Error())
		}
	}
	if len(silent) > 0 {
		return failed("check the address, and the firewall (UDP and TCP 53)", "%s", strings.Join(silent, "; "))
	}
	return ok("%s answer", strings.Join(servers, ", "))
}

// candidates returns the names that a node tries for one, in its order.
func (e *examination) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var out []string
	for _, domain := range e.site.Spec.Network.SearchDomains {
		out = append(out, name+"."+strings.TrimSuffix(domain, "."))
	}
	if strings.Contains(name, ".") { // ndots is 1: as it is first
		return append([]string{name}, out...)
	}
	return append(out, name)
}

// resolve returns the addresses that a node gets for a name, and the name in
// full. An error has the name as the site has it: what was made of that with the
// search domains stands in no file.
func (e *examination) resolve(ctx context.Context, server, name string) (full string, found []netip.Addr, err error) {
	for _, full = range e.candidates(name) {
		found, err = dnsquery.Addresses(ctx, server, full)
		switch {
		case err == nil:
			return full, found, nil
		case errors.Is(err, dnsquery.ErrNoName):
		case full != name:
			return name, nil, fmt.Errorf("%s: %w", name, err)
		default:
			return name, nil, err
		}
	}
	return name, nil, fmt.Errorf("%s at %s: %w", name, server, dnsquery.ErrNoName)
}

func (e *examination) dnsForward(ctx context.Context) finding {
	var good, bad, console []string
	for _, h := range e.hosts() {
		for _, server := range e.site.Spec.Network.Nameservers {
			full, found, err := e.resolve(ctx, server, h.name)
			switch {
			case err != nil && h.what == "the console":
				console = append(console, err.Error())
			case err != nil:
				bad = append(bad, fmt.Sprintf("%s: %v", h.what, err))
			default:
				good = append(good, fmt.Sprintf("%s is %s", full, joinAddresses(found)))
			}
		}
	}
	good = unique(good)
	switch {
	case len(bad) > 0:
		return failed("add the names to the site's DNS, on every name server", "%s", strings.Join(bad, "; "))
	case len(console) > 0:
		return warning(fmt.Sprintf("add %s to the site's DNS before people use the console", e.site.Spec.Console.Hostname), "the console: %s; good: %s",
			strings.Join(console, "; "), strings.Join(good, ", "))
	case len(good) == 0:
		return skipped("every host of the site is an address")
	}
	return ok("%s", strings.Join(good, ", "))
}

func joinAddresses(list []netip.Addr) string {
	var out []string
	for _, ip := range list {
		out = append(out, ip.String())
	}
	return strings.Join(out, " and ")
}

// dnsReverse looks whether addresses lead back to names that lead to them.
func (e *examination) dnsReverse(ctx context.Context) finding {
	server := e.site.Spec.Network.Nameservers[0]
	var good, odd []string
	for _, h := range e.hosts() {
		_, found, err := e.resolve(ctx, server, h.name)
		if err != nil {
			continue // the forward check told
		}
		for _, ip := range found {
			if text := back(ctx, server, ip); text != "" {
				odd = append(odd, text)
			} else {
				good = append(good, ip.String())
			}
		}
	}
	good, odd = unique(good), unique(odd)
	switch {
	case len(odd) > 0:
		return warning("add or mend the PTR records: logs and some clients rely on them", "%s", strings.Join(odd, "; "))
	case len(good) == 0:
		return skipped("every host of the site is an address")
	}
	return ok("%s lead back to their names", strings.Join(good, ", "))
}

// back returns what is wrong with the way back from an address.
func back(ctx context.Context, server string, ip netip.Addr) string {
	names, err := dnsquery.Names(ctx, server, ip)
	if err != nil {
		return err.Error()
	}
	for _, name := range names {
		if again, err := dnsquery.Addresses(ctx, server, name); err == nil && slices.Contains(again, ip) {
			return ""
		}
	}
	return fmt.Sprintf("%s is %s, which is another address", ip, strings.Join(names, " and "))
}

// nowhere is a name that no site has.
const nowhere = "sealift-preflight-nowhere"

// dnsSearch looks for domains that answer to any name, and for short names that
// mean different hosts in different domains.
func (e *examination) dnsSearch(ctx context.Context) finding {
	domains := e.site.Spec.Network.SearchDomains
	if len(domains) == 0 {
		return skipped("there are no search domains")
	}
	var wild, unclear []string
	for _, server := range e.site.Spec.Network.Nameservers {
		for _, domain := range domains {
			if found, err := dnsquery.Addresses(ctx, server, nowhere+"."+domain); err == nil {
				wild = append(wild, fmt.Sprintf("%s answers to any name, with %s", domain, joinAddresses(found)))
			}
		}
		for _, h := range e.hosts() {
			if text := e.meanings(ctx, server, h.name); text != "" {
				unclear = append(unclear, text)
			}
		}
	}
	wild, unclear = unique(wild), unique(unclear)
	switch {
	case len(wild) > 0:
		return failed("remove the wildcard record, or the search domain: pods would take its address for every host outside of the cluster", "%s", strings.Join(wild, "; "))
	case len(unclear) > 0:
		return warning("write names in full into the site", "%s", strings.Join(unclear, "; "))
	}
	return ok("%s: no wildcard, no name with two meanings", strings.Join(domains, ", "))
}

// meanings returns what a name is in several domains, when those are different.
func (e *examination) meanings(ctx context.Context, server, name string) string {
	var texts []string
	var first []netip.Addr
	different := false
	for _, full := range e.candidates(name) {
		found, err := dnsquery.Addresses(ctx, server, full)
		if err != nil {
			continue
		}
		slices.SortFunc(found, netip.Addr.Compare)
		if first == nil {
			first = found
		}
		different = different || !slices.Equal(first, found)
		texts = append(texts, fmt.Sprintf("%s is %s", full, joinAddresses(found)))
	}
	if !different {
		return ""
	}
	return strings.Join(texts, ", but ")
}
