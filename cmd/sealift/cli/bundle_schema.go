package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/definition"
)

func (a *app) bundleSchema() *cobra.Command {
	return a.schema("bundle", "definition", definition.Schema)
}

// schema prints the JSON schema of COMMAND.yaml, which is a what.
func (a *app) schema(command, what string, of func() ([]byte, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: fmt.Sprintf("Print the JSON schema of a %s, for editors", what),
		Example: fmt.Sprintf(`  sealift %[1]s schema > %[1]s.schema.json
  # and as the first line of %[1]s.yaml:
  # yaml-language-server: $schema=%[1]s.schema.json`, command),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := of()
			if err != nil {
				return err
			}
			_, err = a.Out.Write(schema)
			return err
		},
	}
}
