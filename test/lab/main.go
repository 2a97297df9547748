// Command lab builds a dark site on this machine, brings it up and takes it
// down: see docs/lab.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/site"
)

const usage = `usage: go run ./test/lab build|ready|up|down|status

  build   make what the lab is built of: programs, images, node image
  ready   say whether the lab can be brought up
  up      start an engine if none runs, and a cluster
  down    remove all that up made
  status  list what is built and what is up

LAB_ENGINE=own starts an engine even where a Docker runs.
LAB_SOURCE=public takes images from the public registries instead of making them.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	for _, remedy := range problem.Remedies(err) {
		fmt.Fprintln(os.Stderr, "  remedy:", remedy)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return problem.New(problem.Usage, "give one of build, ready, up, down, status", "one command is needed\n\n%s", usage)
	}
	lab, err := site.Open(ctx, ".", site.Environment(say))
	if err != nil {
		return err
	}
	switch args[0] {
	case "build":
		return lab.Build(ctx)
	case "ready":
		return lab.Ready(ctx)
	case "up":
		return up(ctx, lab)
	case "down":
		return lab.Down(ctx)
	case "status":
		for _, line := range lab.Status(ctx) {
			fmt.Println(line)
		}
		return nil
	}
	return problem.New(problem.Usage, "give one of build, ready, up, down, status", "%q is no command\n\n%s", args[0], usage)
}

func up(ctx context.Context, lab *site.Lab) error {
	c, err := lab.Up(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig)
	return nil
}

// say reports on standard error: standard output is for what a script reads.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
