// Command guest is all that a machine of the tests consists of: it runs until
// it is asked to end, and tells its addresses as ip does.
package main

import (
	"encoding/json"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

type address struct {
	Local  string `json:"local"`
	Length int    `json:"prefixlen"`
	Scope  string `json:"scope"`
}

type link struct {
	Address string    `json:"address"`
	Type    string    `json:"link_type"`
	Info    []address `json:"addr_info"`
}

func main() {
	if filepath.Base(os.Args[0]) == "ip" {
		_ = json.NewEncoder(os.Stdout).Encode(links())
		return
	}
	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGTERM)
	<-done
}

func links() []link {
	var list []link
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		l := link{Address: i.HardwareAddr.String(), Type: "ether"}
		if i.Flags&net.FlagLoopback != 0 {
			l.Type = "loopback"
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				ones, _ := n.Mask.Size()
				scope := "global"
				if n.IP.IsLinkLocalUnicast() || n.IP.IsLoopback() {
					scope = "link"
				}
				l.Info = append(l.Info, address{Local: n.IP.String(), Length: ones, Scope: scope})
			}
		}
		list = append(list, l)
	}
	return list
}
