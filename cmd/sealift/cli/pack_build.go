package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) packBuild() *cobra.Command {
	var path string
	var opts packs.BuildOptions
	cmd := &cobra.Command{
		Use:   "build DIR|ARCHIVE -o FILE.tar.gz",
		Short: "Write a pack as an archive",
		Long: `Checks the pack as sealift pack lint does and writes it as one file, unless it has errors. Times, owners and modes stay
out: the same files give the same bytes.`,
		Example: `  sealift pack build argocd-3.3.5 -o argocd-3.3.5.tar.gz`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if path == "" {
				return problem.New(problem.Usage, "say where to: -o NAME-VERSION.tar.gz", "-o is required")
			}
			p, err := packs.Open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.Close() //nolint:errcheck // opened for reading
			if err := a.sound(p); err != nil {
				return err
			}
			if err := p.Build(cmd.Context(), path, opts); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Out, "%s: %s, %s\n", path, p.Name(), plural(len(p.Files()), "file"))
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "output", "o", "", "archive to write: `FILE.tar.gz`")
	cmd.Flags().BoolVar(&opts.Overwrite, "overwrite", false, "replace a file of that name")
	return cmd
}

// sound shows the problems of a pack and fails when one is an error.
func (a *app) sound(p *packs.Pack) error {
	problems := p.Problems()
	if !packs.HasErrors(problems) {
		if len(problems) > 0 {
			a.note("%s: %s; sealift pack lint lists them", p.Name(), plural(len(problems), "warning"))
		}
		return nil
	}
	printProblems(a.Err, problems)
	return problem.New(problem.Failed, "mend the errors above", "%s has errors", p.Name())
}

func printProblems(w io.Writer, problems []packs.Problem) {
	rows := [][]string{{"SEVERITY", "WHERE", "PROBLEM"}}
	for _, p := range problems {
		rows = append(rows, []string{string(p.Severity), p.Where, p.Text})
	}
	table(w, rows)
}
