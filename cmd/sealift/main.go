// Command sealift carries everything that a Kubernetes management plane needs
// across an air gap.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sealift/sealift/cmd/sealift/cli"
	"github.com/sealift/sealift/internal/startup"
)

func main() {
	startup.Done()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
