// Package cli is sealift's command line: one file a command. A command turns
// flags into options, calls the package that does the work and prints the
// result; it holds no logic of its own.
//
// Results go to standard output and nothing else does; progress, logs and
// errors go to standard error.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sealift/sealift/installer/interview"
	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// The exit codes. They are part of the interface.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitVerify      = 3
	exitPreflight   = 4
	exitPartial     = 5
	exitInterrupted = 130
)

// Streams are where a run reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// written is an output that remembers that something did not get there: tables
// are printed without looking.
type written struct {
	io.Writer
	err error
}

// Write implements io.Writer.
func (w *written) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.err = cmp.Or(w.err, err)
	return n, err
}

// app is what all commands share.
type app struct {
	Streams
	quiet     bool
	logFormat string
}

// Run runs one command line and returns its exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	out := &written{Writer: s.Out}
	a := &app{Streams: Streams{In: s.In, Out: out, Err: s.Err}}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return exitDone
	}
	code := exitCode(ctx, err)
	a.printError(err, code)
	return code
}

func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sealift",
		Short: "Carry everything a Kubernetes management plane needs across an air gap",
		Long: `sealift packs images, Helm charts, packs, manifests and files into one signed file on a connected host, and in the
dark site verifies that file, fills a private registry from it or serves it as one, installs the enterprise cluster on
vSphere, and runs the system console.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 verification failed, 4 preflight failed,
5 partly done (run the same command again to go on), 130 interrupted.

Environment: SEALIFT_REGISTRY_USERNAME and SEALIFT_REGISTRY_PASSWORD are credentials for the registry that a
command names; others come from docker's configuration (DOCKER_CONFIG) and its credential helpers.
SEALIFT_SOURCE_USERNAME and SEALIFT_SOURCE_PASSWORD are for a bundle behind https://; AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are for s3://. SEALIFT_AGE_IDENTITY names the file of a private age key.
COSIGN_PASSWORD is the passphrase of a signing key. SEALIFT_CONSOLE and SEALIFT_TOKEN name a console and a token for it.
HTTPS_PROXY and NO_PROXY are honored.`,
		Version:           buildinfo.Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkGlobals() },
		Args:              cobra.NoArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.SetIn(a.In)
	cmd.SetOut(a.Out)
	cmd.SetErr(a.Err)
	cmd.SetFlagErrorFunc(flagError)
	cmd.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "no progress on standard error")
	cmd.PersistentFlags().StringVar(&a.logFormat, "log-format", "text", "progress and logs as `text` or json")
	complete(cmd, "log-format", "text", "json")
	addGroup(cmd, "What crosses the gap:", a.key(), a.bundle(), a.pack())
	addGroup(cmd, "Registries of the dark site:", a.mirror(), a.registry())
	addGroup(cmd, "The enterprise cluster:", a.site(), a.preflight(), a.install(), a.status(), a.upgrade(), a.uninstall(), a.supportBundle())
	addGroup(cmd, "The system console:", a.console(), a.cluster(), a.tenant(), a.admin())
	cmd.AddCommand(a.version(), a.man())
	finish(cmd)
	return cmd
}

// finish makes the library's own commands like the others, and gives all of
// them the exit code of usage.
func finish(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usageError(found, fmt.Errorf("there is no command %q below %q", strings.Join(rest, " "), found.CommandPath()))
				}
				return nil
			}
		case "completion":
			cmd.Args, cmd.RunE = cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	usageErrors(root)
}

func (a *app) checkGlobals() error {
	if a.logFormat != "text" && a.logFormat != "json" {
		return problem.New(problem.Usage, "", "--log-format %q is neither text nor json", a.logFormat)
	}
	return nil
}

// addGroup adds commands that help shows together under a title.
func addGroup(root *cobra.Command, title string, sub ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range sub {
		cmd.GroupID = title
		root.AddCommand(cmd)
	}
}

// group makes a command that only holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(sub...)
	return cmd
}

// complete offers fixed values for a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	completeWith(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// completeWith offers to the shell what a function finds for a flag.
func completeWith(cmd *cobra.Command, flag string, find cobra.CompletionFunc) {
	// It fails only for a flag that is not defined: a mistake of this program.
	if err := cmd.RegisterFlagCompletionFunc(flag, find); err != nil {
		panic(err)
	}
}

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	if (ctx.Err() != nil && errors.Is(err, context.Canceled)) || errors.Is(err, interview.ErrAborted) {
		return exitInterrupted
	}
	switch problem.KindOf(err) {
	case problem.Usage:
		return exitUsage
	case problem.Verification:
		return exitVerify
	case problem.Preflight:
		return exitPreflight
	case problem.Partial:
		return exitPartial
	default:
		return exitFailed
	}
}

func (a *app) printError(err error, code int) {
	text, remedies := err.Error(), problem.Remedies(err)
	if code == exitInterrupted {
		text = "interrupted"
	}
	if a.logFormat == "json" {
		slog.New(slog.NewJSONHandler(a.Err, nil)).Error(text, "exitCode", code, "remedies", remedies)
		return
	}
	fmt.Fprintf(a.Err, "sealift: %s\n", text)
	for _, r := range remedies {
		fmt.Fprintf(a.Err, "  remedy: %s\n", strings.ReplaceAll(r, "\n", "\n          "))
	}
}

// logger is for the libraries; it is silent when --quiet is given.
func (a *app) logger() *slog.Logger {
	switch {
	case a.quiet:
		return slog.New(slog.DiscardHandler)
	case a.logFormat == "json":
		return slog.New(slog.NewJSONHandler(a.Err, nil))
	default:
		return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{ReplaceAttr: dropTime}))
	}
}

// serverLogger is for what runs for days: its lines have the time. --quiet does
// not end them: they are there because somebody asked for them.
func (a *app) serverLogger() *slog.Logger {
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.Err, nil))
	}
	return slog.New(slog.NewTextHandler(a.Err, nil))
}

// dropTime leaves out the time where a person reads along.
func dropTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attr
}

// note writes a line for a person to standard error.
func (a *app) note(format string, args ...any) {
	switch {
	case a.quiet:
	case a.logFormat == "json":
		a.logger().Info(fmt.Sprintf(format, args...))
	default:
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

// progress returns how this run shows progress, and what to call at its end.
func (a *app) progress() (progress.Reporter, func()) {
	switch {
	case a.quiet:
		return progress.None{}, func() {}
	case a.logFormat == "json":
		return newLines(jsonLines(a.logger())), func() {}
	case isTerminal(a.Err):
		bars := newBars(a.Err)
		return bars, bars.wait
	default:
		return newLines(textLines(a.Err)), func() {}
	}
}

func isTerminal(w io.Writer) bool {
	if out, ok := w.(*written); ok {
		w = out.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// rows returns the height of a terminal; 0 of anything else.
func rows(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	_, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return height
}
