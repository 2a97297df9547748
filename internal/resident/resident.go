// Package resident gives memory back that a process has and does not use.
//
// Pages of files that are mapped, such as those of the program itself or of a
// database, count as the process' own as long as they are mapped, also those
// that only its start needed. They can be let go at any time: they stay in the
// system's cache of files, and what is used again is mapped again, without
// reading a disk as long as the cache has it.
package resident

import (
	"os"
	"runtime/debug"
)

// Collect sets the percentage by which memory may grow before the collector
// runs, unless the variable GOGC sets one.
func Collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
