package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealift/sealift/bundles/discovery"
)

// result is how an input went.
type result struct {
	input
	needed score // of what is certain or likely
	all    score // of what is possible too
}

// score compares what was found with the list.
type score struct {
	found  int
	missed []string // in the list, not found
	wrong  []string // found, not in the list
}

func (in input) compare(report discovery.Report) result {
	return result{input: in, needed: in.score(report.Images(discovery.Likely)), all: in.score(report.Images(discovery.Possible))}
}

func (in input) score(found []string) score {
	s := score{found: len(found)}
	for _, image := range in.Images {
		if !slices.Contains(found, image) {
			s.missed = append(s.missed, image)
		}
	}
	for _, image := range found {
		if !slices.Contains(in.Images, image) {
			s.wrong = append(s.wrong, image)
		}
	}
	return s
}

// ratio prints a part of a whole in percent and as it is.
func ratio(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %% (%d/%d)", 100*float64(part)/float64(whole), part, whole)
}

// printTable prints a group of inputs: a row an input, the sums, and each fault by name.
func printTable(w io.Writer, group string, results []result) {
	var images int
	var needed, all score
	fmt.Fprintf(w, "\n%s\n\n| input | images | found | missed | wrong | found with possible | missed | wrong |\n|---|---|---|---|---|---|---|---|\n", group)
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d | %d | %d |\n", r.Name, len(r.Images),
			r.needed.found, len(r.needed.missed), len(r.needed.wrong), r.all.found, len(r.all.missed), len(r.all.wrong))
		images += len(r.Images)
		needed.add(r.needed)
		all.add(r.all)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "certain and likely: %s\n", needed.sum(images))
	fmt.Fprintf(w, "with possible:      %s\n\n", all.sum(images))
	for _, r := range results {
		printFaults(w, r)
	}
}

func (s score) sum(images int) string {
	return fmt.Sprintf("precision %s, recall %s", ratio(s.found-len(s.wrong), s.found), ratio(images-len(s.missed), images))
}

func (s *score) add(other score) {
	s.found += other.found
	s.missed = append(s.missed, other.missed...)
	s.wrong = append(s.wrong, other.wrong...)
}

func printFaults(w io.Writer, r result) {
	for _, f := range []struct {
		what   string
		images []string
	}{{"missed", r.needed.missed}, {"wrong", r.needed.wrong}, {"missed with possible", r.all.missed}, {"wrong with possible", r.all.wrong},
		{"named nowhere", r.Unnamed}} {
		if len(f.images) > 0 {
			fmt.Fprintf(w, "%s: %s: %s\n", r.Name, f.what, strings.Join(f.images, ", "))
		}
	}
}
