// Command guest tells whether it reaches HOST:PORT, by its exit code.
package main

import (
	"net"
	"os"
	"time"
)

func main() {
	conn, err := net.DialTimeout("tcp", os.Args[1], time.Second)
	if err != nil {
		os.Exit(1)
	}
	_ = conn.Close()
}
