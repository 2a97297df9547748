package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/sbom"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// The formats of bundle sbom.
const (
	formatSPDX         = "spdx-json"
	formatCycloneDX    = "cyclonedx-json"
	formatLicenses     = "licenses"
	formatLicensesJSON = "licenses-json"
)

func (a *app) bundleSBOM() *cobra.Command {
	var t trust
	var format output
	var file string
	var bases []string
	cmd := &cobra.Command{
		Use:   "sbom FILE",
		Short: "Say which software a bundle holds, under which licenses",
		Long: `Writes the software bill of materials of a bundle: every image, chart, pack and file, and the packages of each
image with their licenses. If the bundle holds its own SBOM, that is the answer. Otherwise the SBOMs that travel with
the images are taken, and the package databases and programs of all others are looked at, straight from the file and
without any network. The same bundle gives the same bytes; SOURCE_DATE_EPOCH sets the time that the documents state,
which is the beginning of 1970 otherwise. What a delta leaves out is looked at in the bundles of --base. Without --key the
signature is not checked.`,
		Example: `  sealift bundle sbom management-plane.tar --key cosign.pub -o management-plane.spdx.json
  sealift bundle sbom management-plane.tar --format licenses`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(file, slices.Concat(bases, args)...); err != nil {
				return err
			}
			created, err := sourceDate()
			if err != nil {
				return err
			}
			open, err := t.openAny(cmd.Context())
			if err != nil {
				return err
			}
			data, err := a.sbom(cmd.Context(), args[0], bases, open, created, format.format)
			if err != nil {
				return err
			}
			return a.write(file, data)
		},
	}
	t.addTo(cmd)
	baseFlag(cmd, &bases)
	format.addNamed(cmd, "format", formatSPDX, formatCycloneDX, formatLicenses, formatLicensesJSON)
	cmd.Flags().StringVarP(&file, "output", "o", "", "`file` to write (default: standard output)")
	return cmd
}

// write writes data to a file, or to standard output when there is no name.
func (a *app) write(file string, data []byte) error {
	if file == "" || file == "-" {
		_, err := a.Out.Write(data)
		return err
	}
	return durable.WriteFile(file, data, 0o644)
}

// sbom returns the SBOM of the bundle at path in one format.
func (a *app) sbom(ctx context.Context, path string, bases []string, open bundles.OpenOptions, created time.Time, format string) ([]byte, error) {
	w, closeAll, err := openWhole(ctx, path, bases, open)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	result, err := sbom.Embedded(ctx, w)
	if err == nil && result == nil {
		reporter, wait := a.progress()
		result, err = sbom.Make(ctx, w, sbom.Options{Created: created, Progress: reporter})
		wait()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", location.Redact(path), err)
	}
	for _, w := range result.Warnings {
		a.note("warning: %s", w)
	}
	switch format {
	case formatCycloneDX:
		return result.CycloneDX, nil
	case formatLicenses:
		return result.Text(), nil
	case formatLicensesJSON:
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetIndent("", "  ")
		err := enc.Encode(result.Licenses)
		return buf.Bytes(), err
	default:
		return result.SPDX, nil
	}
}

// sourceDate returns the time that documents state.
// Source: reproducible-builds.org, "SOURCE_DATE_EPOCH".
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, problem.New(problem.Usage, "give seconds since 1970, or unset it", "SOURCE_DATE_EPOCH is %q", text)
	}
	return time.Unix(seconds, 0), nil
}
