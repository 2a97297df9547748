package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModules recomputes precision and recall from the small Go modules among
// the inputs: all of them are found in full, and nothing else. What is not so
// good is named in docs/discovery.md, and measured by the command.
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads modules")
	}
	inputs, err := load("testdata")
	require.NoError(t, err)
	seen := 0
	for _, in := range inputs {
		require.Contains(t, []string{"first", "second", "third"}, in.Group, in.Name)
		if !in.Quick {
			continue
		}
		seen++
		t.Run(in.Name, func(t *testing.T) {
			report, err := in.look(t.Context(), roots{})
			require.NoError(t, err)
			r := in.compare(report)
			require.Empty(t, r.all.missed)
			require.Empty(t, r.all.wrong)
		})
	}
	require.GreaterOrEqual(t, seen, 5)
}
