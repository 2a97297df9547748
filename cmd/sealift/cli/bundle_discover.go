package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) bundleDiscover() *cobra.Command {
	var out output
	var values []string
	var least string
	cmd := &cobra.Command{
		Use:   "discover CHART|FOLDER|FILE",
		Short: "Show the images that manifests or a pack need",
		Long: `Reads manifests (a file or a folder) or the folder of a pack and reports every image that they name: where it
was found, by which rule, and how sure it is that it will be pulled.

certain    a container runtime pulls it: containers of any kind of object, image volumes
likely     operators and packagers keep this convention: image fields, RELATED_IMAGE_*, arguments, pack.content
possible   a string that reads like an image

What reads like an image and is none is in the output of -o json under ignored, with the rule that held it down.`,
		Example: `  sealift bundle discover manifests/
  sealift bundle discover operator.yaml --certainty likely -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := errors.Join(out.check(), checkCertainty(least)); err != nil {
				return err
			}
			in, err := a.discoverInput(args[0], values)
			if err != nil {
				return err
			}
			report, err := in.Report()
			if err != nil {
				return err
			}
			report = report.AtLeast(discovery.Certainty(least))
			return out.print(a.Out, report, func(w io.Writer) { discoveryTable(w, report) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	cmd.Flags().StringArrayVarP(&values, "values", "f", nil, "a `file` of values, whose pack.content counts too; may be given again")
	cmd.Flags().StringVar(&least, "certainty", string(discovery.Possible), "the least `certainty` that is shown: certain, likely, possible")
	complete(cmd, "certainty", string(discovery.Certain), string(discovery.Likely), string(discovery.Possible))
	return cmd
}

func checkCertainty(least string) error {
	switch discovery.Certainty(least) {
	case discovery.Certain, discovery.Likely, discovery.Possible:
		return nil
	default:
		return problem.New(problem.Usage, "", "--certainty %q is none of certain, likely, possible", least)
	}
}

// discoverInput turns a path and files of values into documents.
func (a *app) discoverInput(path string, values []string) (discovery.Input, error) {
	in, err := discovery.Open(path)
	if err != nil {
		return discovery.Input{}, problem.As(problem.Usage, err)
	}
	for _, v := range values {
		data, err := os.ReadFile(v)
		if err != nil {
			return discovery.Input{}, problem.As(problem.Usage, fmt.Errorf("reading values: %w", err))
		}
		in.Values = append(in.Values, discovery.Document{Source: v, Data: data})
	}
	if len(in.Charts) > 0 {
		return discovery.Input{}, problem.New(problem.Usage, "render it with helm template, and give the result",
			"this version of sealift does not look into charts yet: %s", strings.Join(in.Charts, ", "))
	}
	return in, nil
}

func discoveryTable(w io.Writer, r discovery.Report) {
	rows := [][]string{{"IMAGE", "CERTAINTY", "RULE", "FOUND IN"}}
	for i := 0; i < len(r.Found); {
		f, more := r.Found[i], 0 // the surest of one image comes first
		for i++; i < len(r.Found) && r.Found[i].Reference == f.Reference; i++ {
			more++
		}
		rows = append(rows, []string{f.Reference, string(f.Certainty), f.Rule, place(f.Source, f.Object, f.Path, more)})
	}
	table(w, rows)
	if len(r.Charts) > 0 {
		fmt.Fprintln(w)
		rows = [][]string{{"CHART", "VERSION", "REPOSITORY", "FOUND IN"}}
		for _, c := range r.Charts {
			rows = append(rows, []string{c.Name, c.Version, c.Repo, place(c.Source, c.Object, c.Path, 0)})
		}
		table(w, rows)
	}
	fmt.Fprintf(w, "\n%s found, %s held down by rules. Every place: -o json\n", plural(len(r.Images(discovery.Possible)), "image"), plural(len(r.Ignored), "string"))
}

// place names where something was found, and in how many places besides.
func place(source, object, path string, more int) string {
	parts := []string{source}
	for _, p := range []string{object, path} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("(and %s)", plural(more, "more place")))
	}
	return strings.Join(parts, " ")
}
