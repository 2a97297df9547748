package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// output is the flag for the format of a command's result, and what prints it.
type output struct {
	flag    string
	format  string
	formats []string
}

// addTo defines -o with a default, the first of formats.
func (o *output) addTo(cmd *cobra.Command, formats ...string) {
	cmd.Flags().StringVarP(&o.format, "output", "o", formats[0], "`format` of the result: "+strings.Join(formats, ", "))
	o.offer(cmd, "output", formats)
}

// addNamed defines a flag of another name with a default, the first of formats,
// where -o names a file.
func (o *output) addNamed(cmd *cobra.Command, flag string, formats ...string) {
	cmd.Flags().StringVar(&o.format, flag, formats[0], "`format` of the result: "+strings.Join(formats, ", "))
	o.offer(cmd, flag, formats)
}

// offer names the formats to the shell, and refuses others before the command runs.
func (o *output) offer(cmd *cobra.Command, flag string, formats []string) {
	o.flag, o.formats = flag, formats
	cmd.PreRunE = func(*cobra.Command, []string) error { return o.check() }
	complete(cmd, flag, formats...)
}

func (o *output) check() error {
	if !slices.Contains(o.formats, o.format) {
		return problem.New(problem.Usage, "", "--%s %q is none of %s", o.flag, o.format, strings.Join(o.formats, ", "))
	}
	return nil
}

// print writes v as the format asks; table is for people.
func (o *output) print(w io.Writer, v any, table func(io.Writer)) error {
	switch o.format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "yaml":
		data, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	default:
		table(w)
		return nil
	}
}

// table prints rows in columns; the first row is the heading. Cells may hold
// what strangers wrote: nothing in one ends its line or moves the cursor.
func table(w io.Writer, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, cell := range r {
			cells[i] = strings.Map(printable, cell)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	_ = tw.Flush() // w is standard output; what it cannot take, nobody can be told there
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// plural returns "1 blob", "2 blobs".
func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkOutput says before the work that its result could not be written, or
// would take the place of what it is made of.
func checkOutput(file string, inputs ...string) error {
	if file == "" || file == "-" {
		return nil
	}
	dir := filepath.Dir(file)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return problem.New(problem.Usage, "choose an output in a folder that exists", "writing %s: no folder %s", file, dir)
	}
	if err := durable.Replaceable(file); err != nil {
		return problem.New(problem.Usage, "choose another output", "writing %s: %w", file, err)
	}
	there, _ := os.Stat(file) // nil when it is made
	for _, input := range inputs {
		info, err := os.Stat(input)
		if (err == nil && there != nil && os.SameFile(info, there)) || location.SameName(input, file) {
			return problem.New(problem.Usage, "choose another output", "writing %s would replace what it is made of", file)
		}
	}
	return nil
}
