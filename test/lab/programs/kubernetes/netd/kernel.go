package main

import (
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// route leads to the pods of another node.
func route(n node) error {
	_, pods, err := net.ParseCIDR(n.Spec.PodCIDR)
	if err != nil {
		return fmt.Errorf("reading the podCIDR of node %s: %w", n.Metadata.Name, err)
	}
	for _, a := range n.Status.Addresses {
		if ip := net.ParseIP(a.Address).To4(); a.Type == "InternalIP" && ip != nil {
			if err := netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: ip}); err != nil {
				return fmt.Errorf("routing %s over %s: %w", pods, ip, err)
			}
		}
	}
	return nil
}

// masquerade gives what leaves the pods' network the node's own address.
func masquerade(pods *net.IPNet) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "netd"})
	c.FlushTable(table)
	chain := c.AddChain(&nftables.Chain{Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	const source, destination = 12, 16 // offsets in the IPv4 header
	rule := append(address(source, expr.CmpOpEq, pods), address(destination, expr.CmpOpNeq, pods)...)
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(rule, &expr.Masq{})})
	return c.Flush()
}

// address compares the network of an address in the IPv4 header.
func address(offset uint32, op expr.CmpOp, network *net.IPNet) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: net.IPv4len},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: net.IPv4len, Mask: network.Mask, Xor: make([]byte, net.IPv4len)},
		&expr.Cmp{Op: op, Register: 1, Data: network.IP.To4()},
	}
}
