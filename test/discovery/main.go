// Command discovery measures how well images are discovered: it looks through
// real charts, packs and manifests and compares what it finds with lists that
// were checked by hand, one file an input in testdata.
//
//	go run ./test/discovery -packs DIR -folders DIR
//
// Inputs that are Go modules are fetched by the go command; the others are left
// out unless their folder is given. It prints the tables of docs/discovery.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
)

// roots are folders that hold what cannot be had as a Go module.
type roots struct {
	packs   string // one folder a pack, by name and version
	folders string // one folder a repository, as OWNER+NAME
}

func main() {
	var r roots
	lists := flag.String("lists", "test/discovery/testdata", "`folder` of the lists")
	flag.StringVar(&r.packs, "packs", "", "`folder` of public packs")
	flag.StringVar(&r.folders, "folders", "", "`folder` of checked out repositories, each as OWNER+NAME")
	flag.Parse()
	if err := run(context.Background(), *lists, r); err != nil {
		fmt.Fprintln(os.Stderr, "discovery:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, lists string, r roots) error {
	inputs, err := load(lists)
	if err != nil {
		return err
	}
	groups := map[string][]result{}
	for _, in := range inputs {
		report, err := in.look(ctx, r)
		switch {
		case errors.Is(err, errNotHere):
			fmt.Fprintf(os.Stderr, "%s: left out: %v\n", in.Name, err)
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", in.Name, err)
		}
		groups[in.Group] = append(groups[in.Group], in.compare(report))
	}
	for _, group := range []string{"first", "second", "third"} {
		printTable(os.Stdout, group, groups[group])
	}
	return nil
}
