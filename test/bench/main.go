// Command bench times sealift beside other tools on the same content and in
// the same run, and prints tables of ratios. It judges nothing: times differ
// from machine to machine, ratios much less.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/sealift/sealift/test/bench/corpus"
	"github.com/sealift/sealift/test/softhsm"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.sealift, "sealift", "bin/sealift", "the program to time")
	flag.StringVar(&b.cache, "cache", ".cache/bench", "folder for packages, images and results")
	out := flag.String("o", "", "file for the tables, besides the terminal")
	flag.IntVar(&b.runs, "runs", 3, "how often each is run; the median counts")
	large := flag.Int64("large", 0, "GiB of a generated bundle to measure memory with; 0 leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b.ctx = ctx
	if err := b.run(*out, *large); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

const remarks = `Times of "bundle create" are to a signed file that is synced to the disk; no peer syncs or signs. The process that opens the key
file takes 64 MiB more for a moment (the key's own encryption); it is not in the column of memory. Memory is what a process holds of its own; the pages of its program file, which the system
takes back at need, are not counted for anybody; it is that of a run of its own, which is not timed. Every program is in the cache of the system when it starts.`

type bench struct {
	ctx            context.Context //nolint:containedctx // lives as long as the run
	sealift, cache string
	runs           int
	work           string // for what is not kept
	watching       bool   // memory and disk are looked at
	upstream       *server
	token          *softhsm.Token // of the second key; nil before there is one
	text           bytes.Buffer
}

func (b *bench) run(out string, large int64) (err error) {
	for _, p := range []*string{&b.sealift, &b.cache} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	packages := filepath.Join(b.cache, "packages")
	b.work = filepath.Join(b.cache, "work")
	if err := os.MkdirAll(packages, 0o755); err != nil {
		return err
	}
	if err := b.clean(); err != nil {
		return err
	}
	defer b.clean() //nolint:errcheck // only room is lost
	if b.upstream, err = b.startRegistry(filepath.Join(b.cache, "upstream")); err != nil {
		return err
	}
	defer b.upstream.stop()
	b.say("making the corpus (the first time downloads Debian packages)")
	if err := corpus.Push(b.ctx, b.upstream.host, packages, func(name string) { b.say("  " + name) }); err != nil {
		return err
	}
	b.print("# Benchmarks\n\nWritten by `make bench BENCHFLAGS=\"-runs %d -large %d\"`: one run, medians of %[1]d, everything on one machine and over its loopback.\n\n%[3]s\n\n%[4]s\n",
		b.runs, large, remarks, machine(b.ctx, b.sealift))
	if err := b.corpusTables(); err != nil {
		return err
	}
	if large > 0 {
		if err := b.largeTable(large << 30); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	return write(out, b.text.Bytes())
}

// elsewhere begins what the page has of other measurements.
const elsewhere = "\n## Elsewhere measured: "

// write replaces the page, but for what was measured elsewhere.
func write(out string, page []byte) error {
	if old, err := os.ReadFile(out); err == nil { //nolint:gosec // a page of the documentation
		if i := bytes.Index(old, []byte(elsewhere)); i >= 0 {
			page = append(page, old[i:]...)
		}
	}
	return os.WriteFile(out, page, 0o644) //nolint:gosec // a page of the documentation
}

// clean empties the work folder.
func (b *bench) clean() error {
	if err := os.RemoveAll(b.work); err != nil {
		return err
	}
	return os.MkdirAll(b.work, 0o755)
}

// say tells how far the run is.
func (b *bench) say(text string) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), text)
}

// print adds to the tables.
func (b *bench) print(format string, args ...any) {
	fmt.Fprintf(io.MultiWriter(os.Stdout, &b.text), format, args...)
}
