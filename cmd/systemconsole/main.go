// Command systemconsole runs the system console in the cluster that it
// administers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sealift/sealift/systemconsole/incluster"
)

func main() {
	opts, err := options(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "systemconsole:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts.Level = &slog.LevelVar{}
	opts.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: opts.Level}))
	if err := incluster.Run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "systemconsole:", err)
		os.Exit(1)
	}
}
