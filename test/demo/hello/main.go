// Command hello is what the demo's multi-arch image runs.
package main

import (
	"fmt"
	"runtime"
)

func main() { fmt.Printf("hello from %s/%s, on this side of the gap\n", runtime.GOOS, runtime.GOARCH) }
