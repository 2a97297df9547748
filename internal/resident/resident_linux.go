package resident

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// LetGo lets go of the pages of a file that the process has mapped, may not
// write to and has never written to: a loader changes some before it lets
// nobody write to them, as to position-independent programs. As long as it works,
// the caller sees to it that the file stays mapped where it is: other memory that
// came in its place would be lost.
func LetGo(path string) error {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("reading what is mapped: %w", err)
	}
	var start, end uintptr // of the mapping that lines are about
	var ours bool
	var failed error
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch {
		case strings.Contains(field, "-"):
			start, end, ours = mapping(lines.Text(), path)
		case ours && field == "Anonymous" && strings.TrimSpace(value) == "0 kB":
			if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED); errno != 0 {
				failed = errors.Join(failed, fmt.Errorf("letting go of pages of %s: %w", path, errno))
			}
		}
	}
	return failed
}

// mapping reads the line that begins a mapping in /proc/self/smaps, such as
//
//	00400000-00411000 r-xp 00000000 fe:00 1234      /usr/bin/sealift
//
// ok is false when it is not about the file, or is of what may be written to:
// what was written there is nowhere else.
func mapping(line, path string) (start, end uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || !strings.HasSuffix(line, " "+path) || strings.Contains(fields[1], "w") {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	first, startErr := strconv.ParseUint(from, 16, strconv.IntSize)
	last, endErr := strconv.ParseUint(to, 16, strconv.IntSize)
	return uintptr(first), uintptr(last), startErr == nil && endErr == nil && first < last
}
