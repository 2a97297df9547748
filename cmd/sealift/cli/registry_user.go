package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/serve"
)

func (a *app) registryUser() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "user NAME --htpasswd FILE",
		Short: "Add a user of a registry, or set another password",
		Long: `Writes the user with a hash of the password into a file for sealift registry serve --htpasswd, which is made where it is not there;
a registry that runs reads it again. The password comes from SEALIFT_REGISTRY_PASSWORD, else it is asked for twice. Who is to
be a user no more is taken out with an editor, a line each.`,
		Example: `  sealift registry user admin --htpasswd users`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return problem.New(problem.Usage, "add --htpasswd FILE", "no file of users is named")
			}
			const variable = "SEALIFT_REGISTRY_PASSWORD"
			password, err := a.newSecret(cmd.Context(), secret{what: "password", variable: variable, remedy: "set " + variable}, "Password for "+args[0]+": ")
			if err != nil {
				return err
			}
			replaced, err := serve.SetUser(file, args[0], password)
			if err != nil {
				return err
			}
			done := "added to"
			if replaced {
				done = "has another password in"
			}
			fmt.Fprintln(a.Out, args[0], done, file)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "htpasswd", "", "`file` of users with bcrypt hashes; it is made")
	return cmd
}
