package resident

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// rss returns the resident KiB of a file's mapping.
func rss(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), " "+path+"\n")
	require.True(t, found, "%s is not mapped", path)
	_, rest, _ = strings.Cut(rest, "\nRss:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return n
}

// mapped maps a file of ones and reads every page.
func mapped(t *testing.T, name string, protection, how int) (string, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte{1}, 1<<20), 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	data, err := syscall.Mmap(int(f.Fd()), 0, 1<<20, protection, how)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(data)) })
	require.Equal(t, 1<<20, bytes.Count(data, []byte{1}))
	require.Equal(t, 1024, rss(t, path))
	return path, data
}

func TestLetGo(t *testing.T) {
	path, data := mapped(t, "a file with spaces", syscall.PROT_READ, syscall.MAP_SHARED)
	other, _ := mapped(t, "spaces", syscall.PROT_READ, syscall.MAP_SHARED)
	require.NoError(t, LetGo(path))
	require.Zero(t, rss(t, path))
	require.Equal(t, 1024, rss(t, other), "another file's pages stay")
	require.Equal(t, 1<<20, bytes.Count(data, []byte{1}), "what is read is still the file")
}

// What was written to a mapping is nowhere else.
func TestLetGoKeepsWhatWasWritten(t *testing.T) {
	path, data := mapped(t, "written", syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	data[5000] = 7
	require.NoError(t, LetGo(path))
	require.Equal(t, byte(7), data[5000])
	require.NoError(t, syscall.Mprotect(data, syscall.PROT_READ)) // as loaders do
	require.NoError(t, LetGo(path))
	require.Equal(t, byte(7), data[5000])
}

// The program itself goes on when its own pages are let go.
func TestLetGoOfTheProgram(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, LetGo(self))
	require.NotEmpty(t, strconv.Quote(self))
	require.NoError(t, LetGo("/nowhere"))
}

func TestMapping(t *testing.T) {
	const path = "/usr/bin/sealift"
	for line, ok := range map[string]bool{
		"00400000-00411000 r-xp 00000000 fe:00 1234      /usr/bin/sealift":     true,
		"00400000-00411000 r--s 00000000 fe:00 1234      /usr/bin/sealift":     true,
		"00400000-00411000 rw-p 00000000 fe:00 1234      /usr/bin/sealift":     false,
		"00400000-00411000 r-xp 00000000 fe:00 1234      /usr/bin/sealift.old": false,
		"00400000-00411000 r-xp 00000000 fe:00 1234      /x/usr/bin/sealift":   false,
		"00411000-00400000 r-xp 00000000 fe:00 1234      /usr/bin/sealift":     false,
		"zz-00411000 r-xp 00000000 fe:00 1234 /usr/bin/sealift":                false,
		"00400000-00411000 r-xp": false,
		"":                       false,
	} {
		start, end, got := mapping(line, path)
		require.Equal(t, ok, got, line)
		if ok {
			require.Equal(t, []uintptr{0x400000, 0x411000}, []uintptr{start, end})
		}
	}
}
