// Command etcd is etcd's server under its own name: Go would call the program
// after the folder of its package, server.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
