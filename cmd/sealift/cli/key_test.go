package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newTerminal returns the two sides of a terminal: who types, and who reads.
func newTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// shows tells whether a terminal shows what is typed.
func shows(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// A prompt that is interrupted ends at once, and the terminal is what it was.
func TestAPromptIsInterrupted(t *testing.T) {
	person, program := newTerminal(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := readHidden(ctx, program)
		ended <- err
	}()
	require.Eventually(t, func() bool { return !shows(t, person) }, 10*time.Second, time.Millisecond)
	stop()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		require.Fail(t, "it still waits")
	}
	require.True(t, shows(t, person))
	_, err := person.WriteString("what nobody reads any more\n") // lets the reader go
	require.NoError(t, err)
}

func TestAPromptReadsALine(t *testing.T) {
	person, program := newTerminal(t)
	_, err := person.WriteString("a passphrase\n")
	require.NoError(t, err)
	line, err := readHidden(t.Context(), program)
	require.NoError(t, err)
	require.Equal(t, "a passphrase", string(line))
}

// The output of a command is still known for a terminal.
func TestATerminalGetsNoArchive(t *testing.T) {
	_, program := newTerminal(t)
	var said bytes.Buffer
	code := Run(t.Context(), []string{"mirror", "config", "containerd", "registry.site", "--host", "docker.io", "-o", "-"}, Streams{Out: program, Err: &said})
	require.Equal(t, exitUsage, code)
	require.Contains(t, said.String(), "a tar archive is nothing for a terminal")
}
