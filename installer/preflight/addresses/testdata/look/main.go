// Look prints which of its arguments are addresses in use.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/sealift/sealift/installer/preflight/addresses"
)

func main() {
	var list []netip.Addr
	for _, a := range os.Args[1:] {
		list = append(list, netip.MustParseAddr(a))
	}
	s := addresses.Look(context.Background(), list, addresses.Options{})
	for _, ip := range s.Addresses() {
		fmt.Println(ip, s.Taken[ip])
	}
	fmt.Println("doubt:", s.Doubt)
}
