package console

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine describes where the run takes place.
func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // empty where there is none
	return fmt.Sprintf("Machine: %s, %d cores, %s memory, Linux %s, %s.", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		field("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)), runtime.Version())
}

// field returns the value of the first line of a name.
func field(file, name string) string {
	text, _ := os.ReadFile(file) // empty where there is none
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
