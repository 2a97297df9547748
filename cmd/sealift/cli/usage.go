package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
)

// nearby is in how many letters a command may differ from the one that is meant.
const nearby = 2

// usageErrors gives every command's argument check the exit code of usage, and
// its error the words of the command's usage line. A check that has words of its
// own keeps them.
func usageErrors(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = nearby
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			switch err := check(c, args); {
			case err == nil || problem.KindOf(err) == problem.Usage:
				return err
			case c.HasSubCommands():
				return unknownCommand(c, args[0])
			default:
				return usageError(c, wrongArguments(c, args))
			}
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

func usageError(c *cobra.Command, err error) error {
	return problem.New(problem.Usage, "see "+c.CommandPath()+" --help", "%w", err)
}

// flagError is for a flag that a command has not got. Where a group was given
// what is none of its commands, the flag is that command's, and no mistake.
func flagError(c *cobra.Command, err error) error {
	if before := c.Flags().Args(); c.HasSubCommands() && len(before) > 0 {
		return unknownCommand(c, before[0])
	}
	return usageError(c, err)
}

// unknownCommand is the error for a word that is no command of a group.
func unknownCommand(c *cobra.Command, word string) error {
	err := usageError(c, fmt.Errorf("unknown command %q for %q", word, c.CommandPath()))
	if meant := meant(c, word); len(meant) > 0 {
		return problem.WithRemedy(err, "did you mean "+strings.Join(meant, " or ")+"?")
	}
	return err
}

// meant returns the commands of a group that a word may mean: those that are
// written like it, else those of that very name anywhere below.
func meant(c *cobra.Command, word string) []string {
	if word == "" {
		return nil
	}
	var out []string
	for _, name := range c.SuggestionsFor(word) {
		out = append(out, c.CommandPath()+" "+name)
	}
	if len(out) == 0 {
		out = below(c, word)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// below returns the commands of a name in the groups below a command.
func below(c *cobra.Command, name string) []string {
	var out []string
	for _, sub := range c.Commands() {
		if sub.Name() == name && sub.IsAvailableCommand() {
			out = append(out, sub.CommandPath())
		}
		out = append(out, below(sub, name)...)
	}
	return out
}

// wrongArguments says what a command takes, in the words of its usage line.
func wrongArguments(c *cobra.Command, args []string) error {
	takes := operands(c.Use)
	switch {
	case takes == "":
		return fmt.Errorf("%s takes no arguments, and got %q", c.CommandPath(), args)
	case len(args) == 0:
		return fmt.Errorf("%s needs %s", c.CommandPath(), takes)
	default:
		return fmt.Errorf("%s takes %s, and got %q", c.CommandPath(), takes, args)
	}
}

// operands returns what stands in a usage line between the command's name and
// its first flag.
func operands(use string) string {
	words := strings.Fields(use)[1:]
	for i, word := range words {
		if strings.HasPrefix(strings.TrimPrefix(word, "["), "-") {
			return strings.Join(words[:i], " ")
		}
	}
	return strings.Join(words, " ")
}
