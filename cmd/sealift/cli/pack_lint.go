package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// lintResult is what sealift pack lint -o json prints.
type lintResult struct {
	Packs    []lintedPack    `json:"packs"`
	Together []packs.Problem `json:"together,omitempty"` // with --together
	Errors   int             `json:"errors"`
	Warnings int             `json:"warnings"`
}

type lintedPack struct {
	Path     string          `json:"path"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Problems []packs.Problem `json:"problems"`
}

func (a *app) packLint() *cobra.Command {
	var out output
	var strict, together bool
	cmd := &cobra.Command{
		Use:   "lint DIR|ARCHIVE...",
		Short: "List what is wrong with packs",
		Long: `Checks each pack by itself: pack.json, values and their schema, presets, charts and manifests that are named and not
there. With --together the packs are also checked as those of one cluster: packs that stand twice, required ones that are
missing, versions that do not fit one another, packs that require one another in a circle.

The exit code is 1 when there are errors; with --strict also when there are warnings.`,
		Example: `  sealift pack lint argocd-3.3.5
  sealift pack lint --together kubernetes-1.31.5 calico-3.29.0.tar.gz
  sealift pack lint packs/* -o json | jq '.packs[].problems[] | select(.severity == "error")'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := lint(cmd.Context(), args, together)
			if err != nil {
				return err
			}
			if err := out.print(a.Out, result, func(w io.Writer) { lintTable(w, result) }); err != nil {
				return err
			}
			if n := result.Errors; n > 0 {
				return fmt.Errorf("found %s", plural(n, "error"))
			}
			if n := result.Warnings; strict && n > 0 {
				return fmt.Errorf("found %s, and --strict allows none", plural(n, "warning"))
			}
			return nil
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	cmd.Flags().BoolVar(&strict, "strict", false, "fail when there are warnings")
	cmd.Flags().BoolVar(&together, "together", false, "check the packs' constraints on one another, too")
	return cmd
}

// lint opens and checks packs. One that cannot be opened is an error among the others.
func lint(ctx context.Context, paths []string, together bool) (*lintResult, error) {
	result := &lintResult{}
	var opened []*packs.Pack
	for _, path := range paths {
		p, err := packs.Open(ctx, path)
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		if err != nil {
			result.add(lintedPack{Path: path, Problems: []packs.Problem{{Severity: packs.SeverityError, Where: path, Text: openError(err)}}})
			continue
		}
		defer p.Close() //nolint:errcheck // opened for reading
		opened = append(opened, p)
		result.add(lintedPack{Path: path, Name: p.Meta.Name, Version: p.Meta.Version, Problems: p.Problems()})
	}
	if together {
		result.Together = packs.Solve(opened)
		result.count(result.Together)
	}
	return result, nil
}

func openError(err error) string {
	text := err.Error()
	if remedies := problem.Remedies(err); len(remedies) > 0 {
		text += " (" + strings.Join(remedies, "; ") + ")"
	}
	return text
}

func (r *lintResult) add(p lintedPack) {
	if p.Problems == nil {
		p.Problems = []packs.Problem{} // [] and not null for scripts
	}
	r.Packs = append(r.Packs, p)
	r.count(p.Problems)
}

func (r *lintResult) count(problems []packs.Problem) {
	for _, p := range problems {
		if p.Severity == packs.SeverityError {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
}

func lintTable(w io.Writer, r *lintResult) {
	rows := [][]string{{"PACK", "SEVERITY", "WHERE", "PROBLEM"}}
	add := func(name string, problems []packs.Problem) {
		for _, p := range problems {
			rows = append(rows, []string{name, string(p.Severity), p.Where, p.Text})
		}
	}
	for _, p := range r.Packs {
		name := p.Path
		if p.Name != "" {
			name = p.Name + " " + p.Version
		}
		add(name, p.Problems)
	}
	add("(together)", r.Together)
	if len(rows) > 1 {
		table(w, rows)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", plural(len(r.Packs), "pack"), plural(r.Errors, "error"), plural(r.Warnings, "warning"))
}
