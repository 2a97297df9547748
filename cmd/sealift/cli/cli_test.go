package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
)

func TestExitCodes(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	base := errors.New("x")
	for _, c := range []struct {
		ctx  context.Context //nolint:containedctx // a row of a table
		err  error
		want int
	}{
		{t.Context(), base, exitFailed},
		{t.Context(), problem.As(problem.Usage, base), exitUsage},
		{t.Context(), fmt.Errorf("outer: %w", problem.As(problem.Verification, base)), exitVerify},
		{t.Context(), problem.WithRemedy(problem.As(problem.Verification, base), "do"), exitVerify},
		{t.Context(), problem.As(problem.Preflight, base), exitPreflight},
		{t.Context(), problem.As(problem.Partial, problem.As(problem.Verification, base)), exitPartial},
		{canceled, fmt.Errorf("fetching: %w", context.Canceled), exitInterrupted},
		{canceled, problem.As(problem.Verification, base), exitVerify},
	} {
		require.Equal(t, c.want, exitCode(c.ctx, c.err), "%v", c.err)
	}
}

func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	phase := newLines(textLines(&out)).Start("pushing", 3<<20)
	phase.Skip(1 << 20)
	task := phase.Task("sha256:x", 2<<20)
	task.Add(2 << 20)
	task.Done()
	phase.Done()
	require.Regexp(t, `^pushing: 2.0 MiB in .*/s\), 1.0 MiB there already\n$`, out.String())
}

func TestProgressBars(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out)
	for _, total := range []int64{0, 10 << 20} {
		phase := b.Start("fetching", total)
		task := phase.Task("sha256:0123456789abcdef0123456789abcdef", total)
		task.Add(total / 2)
		task.Add(-total / 2) // begun again
		task.Add(total)
		task.Done()
		phase.Done()
	}
	unfinished := b.Start("verifying", 100)
	unfinished.Done()
	ended := make(chan struct{})
	go func() {
		b.wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a bar did not end")
	}
}

// Every command shows how it is called, by its own name and with flags that it has.
func TestEveryCommandHasAnExample(t *testing.T) {
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "completion" || cmd.Name() == "help" {
			return
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
		if cmd.HasSubCommands() && cmd.Example == "" {
			return
		}
		require.Contains(t, cmd.Example, cmd.CommandPath(), "an example of %s", cmd.CommandPath())
		for line := range strings.Lines(cmd.Example) {
			if strings.HasPrefix(strings.TrimSpace(line), cmd.CommandPath()) {
				flagsAreKnown(t, cmd, line)
			}
		}
	}
	look((&app{}).root())
}

// flagsAreKnown checks the flags in the first command of a line.
func flagsAreKnown(t *testing.T, cmd *cobra.Command, line string) {
	line, _, _ = strings.Cut(line, " | ")
	for _, word := range strings.Fields(line) {
		name, isFlag := strings.CutPrefix(word, "--")
		if name, _, _ = strings.Cut(name, "="); isFlag && name != "" {
			require.True(t, cmd.Flags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil, "%s has no --%s", cmd.CommandPath(), name)
		}
	}
}

func TestOperandsOfUsageLines(t *testing.T) {
	for use, want := range map[string]string{
		"status -f site.yaml": "", "list": "", "verify FILE --key PUB": "FILE", "push FILE... REGISTRY[/PREFIX] --key PUB": "FILE... REGISTRY[/PREFIX]",
		"init [-o site.yaml]": "", "nodes [NAME]": "[NAME]", "role TENANT USER ROLE": "TENANT USER ROLE",
	} {
		require.Equal(t, want, operands(use), use)
	}
}

// A check that was mistyped is not passed over in silence.
func TestChecksThatAreIgnored(t *testing.T) {
	report := &preflight.Report{Checks: []preflight.Result{{Name: "ntp", State: preflight.Failed}, {Name: "clocks", State: preflight.OK}}}
	require.ErrorContains(t, ignore(report, []string{"npt"}), `--ignore "npt": there is no such check`)
	require.NoError(t, ignore(report, []string{"ntp", "clocks"}))
	require.Equal(t, []preflight.Result{{Name: "ntp", State: preflight.Warning}, {Name: "clocks", State: preflight.OK}}, report.Checks)
}

// A path that was mistyped would leave the value as it is.
func TestValuesThatAreTaken(t *testing.T) {
	values := []upgrade.Setting{{Path: "/cluster/workers/default/cpus", Outcome: upgrade.Conflict}}
	require.Empty(t, untaken(values, []string{"/cluster/workers/default/cpus"}))
	require.Len(t, untaken(values, []string{"/cluster/workers/defalut/cpus"}), 1)
}
