// Package interview asks a person for a site in a terminal and writes site.yaml.
//
// It asks section by section; what is wrong with a section's answers is said at
// once, and the section asked again. Where the vCenter lets the person in, its
// own datacenters, clusters, datastores, networks, folders and pools are
// offered. User names and passwords are used for that, and are not written.
package interview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/huh"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
)

// Options is where a person is asked. The zero value is not useful.
type Options struct {
	In  io.Reader
	Out io.Writer
	// Dir is the folder that relative paths start at: that of site.yaml.
	Dir string
	// Login is where the credentials come from that the vCenter is asked with.
	Login site.LoginOptions
	// Accessible asks line by line, for screen readers and tests.
	Accessible bool
}

// ErrAborted means: the person ended the interview.
var ErrAborted = errors.New("the interview was ended")

// maxTries is how often one section is asked before the person is let go.
const maxTries = 10

// Ask asks for a site and returns the text of site.yaml, which Parse accepts.
func Ask(ctx context.Context, options Options) ([]byte, error) {
	lipgloss.SetHasDarkBackground(termenv.NewOutput(options.Out).HasDarkBackground()) // asked here, not by every command
	i := &interview{options: options, answers: defaults()}
	for _, section := range []struct {
		paths []string // of the fields that it asks for
		ask   func(context.Context) error
	}{
		{[]string{"metadata.", "spec.bootstrap"}, i.askName},
		{[]string{"spec.registry"}, i.askRegistry},
		{[]string{"spec.vcenter.server", "spec.vcenter.caFile", "spec.vcenter.thumbprint", "spec.vcenter.credentials", "spec.vcenter:"}, i.askVCenter},
		{[]string{"spec.vcenter."}, i.askPlaces},
		{[]string{"spec.cluster."}, i.askCluster},
		{[]string{"spec.network."}, i.askNetwork},
		{[]string{"spec.console."}, i.askConsole},
	} {
		if err := i.until(ctx, section.paths, section.ask); err != nil {
			return nil, err
		}
	}
	return i.finish()
}

type interview struct {
	options Options
	answers answers

	inventory *vsphere.Inventory // nil when the vCenter could not be asked
}

// until asks until the answers are good.
func (i *interview) until(ctx context.Context, paths []string, ask func(context.Context) error) error {
	for range maxTries {
		if err := ask(ctx); err != nil {
			if errors.Is(err, huh.ErrUserAborted) {
				return problem.New(problem.Failed, "nothing was written", "%w", ErrAborted)
			}
			return fmt.Errorf("asking for a site: %w", err)
		}
		wrong, err := i.problems(paths)
		if err != nil {
			return err
		}
		if len(wrong) == 0 {
			return nil
		}
		fmt.Fprintf(i.options.Out, "\nPlease look at these again:\n  %s\n\n", strings.Join(wrong, "\n  "))
	}
	return problem.New(problem.Usage, "write the example with a plain sealift site init < /dev/null, and fill it in", "no good answer in %d tries", maxTries)
}

// problems returns what is wrong with the fields of these paths.
func (i *interview) problems(paths []string) ([]string, error) {
	text, err := i.answers.render()
	if err != nil {
		return nil, err
	}
	_, err = site.Parse(text, i.options.Dir)
	if err == nil {
		return nil, nil
	}
	var out []string
	for _, line := range strings.Split(err.Error(), "\n  ")[1:] {
		_, field, _ := strings.Cut(line, ": ") // after "line N: "
		for _, p := range paths {
			if strings.HasPrefix(field, p) {
				out = append(out, field)
				break
			}
		}
	}
	return out, nil
}

func (i *interview) finish() ([]byte, error) {
	text, err := i.answers.render()
	if err != nil {
		return nil, err
	}
	if _, err := site.Parse(text, i.options.Dir); err != nil {
		return nil, fmt.Errorf("the answers do not make a site: %w", err)
	}
	return text, nil
}

// form shows fields as one page.
func (i *interview) form(ctx context.Context, title string, fields ...huh.Field) error {
	return huh.NewForm(huh.NewGroup(fields...).Title(title)).WithInput(i.options.In).WithOutput(i.options.Out).
		WithAccessible(i.options.Accessible).WithShowHelp(true).RunWithContext(ctx)
}

func input(title string, value *string) *huh.Input { return huh.NewInput().Title(title).Value(value) }

func choose(title string, value *string, from ...string) *huh.Select[string] {
	return huh.NewSelect[string]().Title(title).Options(huh.NewOptions(from...)...).Value(value)
}
