package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cost is what something took.
type cost struct {
	lane, test, part string // part is "" for the whole test
	took             time.Duration
	outcome          string // pass, fail or skip, of a whole test
}

// costs gathers what everything takes, and tells it as it comes.
type costs struct {
	start time.Time

	mu  sync.Mutex
	all []cost
}

func newCosts() *costs { return &costs{start: time.Now()} }

// say tells a person something; standard output is for the table.
func (c *costs) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(c.start).Round(time.Second), fmt.Sprintf(format, args...))
}

func (c *costs) add(one cost) {
	c.mu.Lock()
	c.all = append(c.all, one)
	c.mu.Unlock()
	what := one.test
	if one.part != "" {
		what += ": " + one.part
	}
	if one.outcome != "" {
		what += ": " + one.outcome
	}
	c.say("%-5s  %6.1fs  %s", one.lane, one.took.Seconds(), what)
}

// time times what is not a test.
func (c *costs) time(what string, do func() error) error {
	start := time.Now()
	err := do()
	c.add(cost{lane: "all", test: what, took: time.Since(start)})
	return err
}

// event is a line of test2json.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// part is how a test says what a part of it took.
var part = regexp.MustCompile(`took +([0-9.]+)s: (.*)`)

// read reads the events of a suite to their end, writes what the tests say to
// log, and returns the names of tests that failed.
func (c *costs) read(lane string, events io.Reader, log io.Writer) (failed []string) {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Action == "output" {
			_, _ = io.WriteString(log, e.Output) // a log
			if m := part.FindStringSubmatch(e.Output); m != nil {
				seconds, _ := strconv.ParseFloat(m[1], 64)
				c.add(cost{lane: lane, test: e.Test, part: strings.TrimSpace(m[2]), took: time.Duration(seconds * float64(time.Second))})
			}
			continue
		}
		if e.Test == "" || e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
			continue
		}
		if e.Action == "fail" {
			failed = append(failed, e.Test)
		}
		if took := time.Duration(e.Elapsed * float64(time.Second)); took >= time.Second || e.Action == "fail" {
			c.add(cost{lane: lane, test: e.Test, took: took, outcome: e.Action})
		}
	}
	return failed
}

// print writes all costs as a table of Markdown, each test's parts before it.
func (c *costs) print(w io.Writer) {
	fmt.Fprintf(w, "\n| lane | test | part | seconds |\n|---|---|---|---:|\n")
	for _, one := range c.all {
		name := one.part
		if one.outcome != "" {
			name = "all of it: " + one.outcome
		}
		fmt.Fprintf(w, "| %s | %s | %s | %.1f |\n", one.lane, one.test, name, one.took.Seconds())
	}
	fmt.Fprintf(w, "| all | | | %.0f |\n", time.Since(c.start).Seconds())
}

// needed is the memory, in bytes, that the lanes take side by side: four
// machines of the longest, a cluster and a kind cluster of the next, two nodes
// of the last, with their page cache.
const needed = 14 << 30

// roomy tells whether there is memory enough for all lanes at once.
func roomy(say func(string, ...any)) bool {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), "MemAvailable:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return false
	}
	kib, _ := strconv.Atoi(fields[0])
	if kib<<10 < needed {
		say("%d MiB of memory are available, %d are needed for all at once: one lane after another", kib>>10, needed>>20)
		return false
	}
	return true
}
