package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) bundleDiscover() *cobra.Command {
	var out output
	var values []string
	var settings closure.Settings
	var least string
	cmd := &cobra.Command{
		Use:   "discover CHART|PACK|FOLDER|FILE",
		Short: "Show the images that charts, packs or manifests need",
		Long: `Renders charts and packs, reads manifests, and reports every image that they name: where it was found, by which
rule, and how sure it is that it will be pulled.

certain    a container runtime pulls it: containers of any kind of object, image volumes
likely     operators and packagers keep this convention: image fields, RELATED_IMAGE_*, arguments, pack.content
possible   a string that reads like an image

What reads like an image and is none is in the output of -o json under ignored, with the rule that held it down.`,
		Example: `  sealift bundle discover manifests/
  sealift bundle discover cert-manager-v1.17.1.tgz -f values.yaml
  sealift bundle discover operator.yaml --certainty likely -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(out.check(), checkCertainty(least)); err != nil {
				return err
			}
			files, err := readValues(values)
			if err != nil {
				return err
			}
			report, err := closure.Path(cmd.Context(), args[0], files, settings)
			if err != nil {
				return err
			}
			report = report.AtLeast(discovery.Certainty(least))
			return out.print(a.Out, report, func(w io.Writer) { discoveryTable(w, report) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	flags := cmd.Flags()
	flags.StringArrayVarP(&values, "values", "f", nil, "a `file` of values for the chart or pack; may be given again")
	flags.StringVarP(&settings.Namespace, "namespace", "n", "", "the `namespace` that a chart is rendered for")
	flags.StringVar(&settings.KubeVersion, "kube-version", "", "the `version` of Kubernetes that a chart is rendered for (default the newest known)")
	flags.StringSliceVar(&settings.APIVersions, "api-versions", nil, "`APIs` that a chart shall find in the cluster, such as monitoring.coreos.com/v1")
	flags.StringVar(&least, "certainty", string(discovery.Possible), "the least `certainty` that is shown: certain, likely, possible")
	complete(cmd, "certainty", string(discovery.Certain), string(discovery.Likely), string(discovery.Possible))
	return cmd
}

func readValues(paths []string) ([][]byte, error) {
	var out [][]byte
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, problem.As(problem.Usage, fmt.Errorf("reading values: %w", err))
		}
		out = append(out, data)
	}
	return out, nil
}

func checkCertainty(least string) error {
	switch discovery.Certainty(least) {
	case discovery.Certain, discovery.Likely, discovery.Possible:
		return nil
	default:
		return problem.New(problem.Usage, "", "--certainty %q is none of certain, likely, possible", least)
	}
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
