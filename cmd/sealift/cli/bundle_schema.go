package cli

import (
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/definition"
)

func (a *app) bundleSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of a definition, for editors",
		Example: `  sealift bundle schema > bundle.schema.json
  # and as the first line of bundle.yaml:
  # yaml-language-server: $schema=bundle.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := definition.Schema()
			if err != nil {
				return err
			}
			_, err = a.Out.Write(schema)
			return err
		},
	}
}
