package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/problem"
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

// A question that is interrupted ends at once, and the terminal is what it was.
func TestAQuestionIsInterrupted(t *testing.T) {
	for what, ask := range map[string]func(context.Context, *app) error{
		"passphrase": func(ctx context.Context, a *app) error {
			_, err := a.secret(ctx, secret{what: "passphrase", variable: "SEALIFT_TEST_UNSET"}, "Passphrase? ")
			return err
		},
		"name": func(ctx context.Context, a *app) error { return a.confirm(ctx, "enterprise", "remove it") },
		"login": func(ctx context.Context, a *app) error {
			_, err := a.loginOptions(ctx).Prompt("vcenter.site")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			person, program := newTerminal(t)
			ctx, stop := context.WithCancel(t.Context())
			asked := &firstWrite{done: make(chan struct{})}
			ended := make(chan error, 1)
			go func() { ended <- ask(ctx, &app{Streams: Streams{In: program, Err: asked}}) }()
			<-asked.done
			if what == "passphrase" {
				require.Eventually(t, func() bool { return !shows(t, person) }, 10*time.Second, time.Millisecond)
			}
			stop()
			select {
			case err := <-ended:
				require.ErrorIs(t, err, context.Canceled)
			case <-time.After(10 * time.Second):
				require.Fail(t, "it still waits")
			}
			require.True(t, shows(t, person))
			_, err := person.WriteString("what nobody reads any more\n")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return !reads() }, 10*time.Second, time.Millisecond, "before its terminal's number is another's")
		})
	}
}

// Who was interrupted between two questions is not asked the second.
func TestAQuestionAfterTheEnd(t *testing.T) {
	person, program := newTerminal(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var asked bytes.Buffer
	_, err := prompter{in: program, out: &asked}.ask(ctx, "Passphrase? ", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, asked.String())
	require.True(t, shows(t, person))
}

// reads tells whether a terminal is still being read.
func reads() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "prompter.ask.func")
}

// firstWrite closes done when something is written.
type firstWrite struct {
	done chan struct{}
	once sync.Once
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.done) })
	return len(p), nil
}

func TestAPersonAnswers(t *testing.T) {
	person, program := newTerminal(t)
	a := &app{Streams: Streams{In: program, Err: io.Discard}}
	_, err := person.WriteString("admin \na password\nenterprise\nnorth\n")
	require.NoError(t, err)
	login, err := a.loginOptions(t.Context()).Prompt("vcenter.site")
	require.NoError(t, err)
	require.Equal(t, "admin", login.Username)
	require.Equal(t, "a password", login.Password.Reveal())
	require.NoError(t, a.confirm(t.Context(), "enterprise", "remove it"))
	require.ErrorContains(t, a.confirm(t.Context(), "enterprise", "remove it"), "the answer was not enterprise")
	_, err = person.WriteString("\x04")
	require.NoError(t, err)
	require.ErrorContains(t, a.confirm(t.Context(), "enterprise", "remove it"), "nothing was typed")
}

// The output of a command is still known for a terminal.
func TestATerminalGetsNoArchive(t *testing.T) {
	_, program := newTerminal(t)
	var said bytes.Buffer
	code := Run(t.Context(), []string{"mirror", "config", "containerd", "registry.site", "--host", "docker.io", "-o", "-"}, Streams{Out: program, Err: &said})
	require.Equal(t, exitUsage, code)
	require.Contains(t, said.String(), "a tar archive is nothing for a terminal")
}

// What nobody knows yet is typed twice, and shown never.
func TestANewSecretIsTypedTwice(t *testing.T) {
	for typed, want := range map[string]string{"hunter2\nhunter2\n": "hunter2", "hunter2\nhunter3\n": ""} {
		person, program := newTerminal(t)
		_, err := person.WriteString(typed)
		require.NoError(t, err)
		var said bytes.Buffer
		a := &app{Streams: Streams{In: program, Err: &said}}
		got, err := a.newSecret(t.Context(), secret{what: "password", variable: "SEALIFT_TEST_UNSET"}, "Password for ada: ")
		require.Equal(t, want, string(got))
		require.Equal(t, "Password for ada: \nThe same again: \n", said.String())
		if want == "" {
			require.ErrorContains(t, err, "the two passwords differ")
			require.Equal(t, []string{"type the same password twice; nothing was written"}, problem.Remedies(err))
		}
	}
}
