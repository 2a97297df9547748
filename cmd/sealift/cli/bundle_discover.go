package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) bundleDiscover() *cobra.Command {
	var out output
	var opts closure.PathOptions
	var least string
	cmd := &cobra.Command{
		Use:   "discover CHART|FOLDER|FILE",
		Short: "Show the images that a chart, a pack or manifests need",
		Long: `Renders a chart, or looks through a pack, a file or a folder of manifests, and reports every image that is named: where it
was found, by which rule, and how sure it is that it will be pulled.

certain    a container runtime pulls it: containers of any kind of object, image volumes
likely     operators and packagers keep this convention: image fields, RELATED_IMAGE_*, arguments, pack.content
possible   a string that reads like an image

What reads like an image and is none is in the output of -o json under ignored, with the rule that held it down.`,
		Example: `  sealift bundle discover ./charts/console -f site.values.yaml
  sealift bundle discover prometheus-25.8.0.tgz
  sealift bundle discover operator.yaml --certainty likely -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := closure.Path(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			report = report.AtLeast(discovery.Certainty(least))
			return out.print(a.Out, report, func(w io.Writer) { discoveryTable(w, report) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	cmd.PreRunE = func(*cobra.Command, []string) error { return errors.Join(out.check(), checkCertainty(least)) }
	fl := cmd.Flags()
	fl.StringArrayVarP(&opts.Values, "values", "f", nil, "a `file` of values for charts and packs; may be given again, the later counts")
	fl.StringSliceVar(&opts.Presets, "preset", nil, "`presets` of a pack, in their order")
	fl.StringVar(&opts.Namespace, "namespace", "", "`namespace` that charts are rendered for (default \"default\")")
	fl.StringVar(&opts.KubeVersion, "kube-version", "", "Kubernetes `version` that charts are rendered for (default 1.34.0)")
	fl.StringSliceVar(&opts.APIVersions, "api-versions", nil, "`versions` of APIs that the cluster has besides its own, such as monitoring.coreos.com/v1")
	fl.StringVar(&least, "certainty", string(discovery.Possible), "the least `certainty` that is shown: certain, likely, possible")
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
