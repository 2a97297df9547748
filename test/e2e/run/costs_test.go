package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCostsOfASuite(t *testing.T) {
	c := newCosts()
	var log, table strings.Builder
	failed := c.read("local", strings.NewReader(`{"Action":"run","Test":"TestInstall"}
{"Action":"output","Test":"TestInstall","Output":"    install_test.go:30: took 12.5s: preflight\n"}
no event
{"Action":"output","Test":"TestInstall","Output":"    install_test.go:31: something else\n"}
{"Action":"fail","Test":"TestQuick","Elapsed":0.1}
{"Action":"pass","Test":"TestTooQuickToTell","Elapsed":0.1}
{"Action":"pass","Test":"TestInstall","Elapsed":20}
{"Action":"pass","Elapsed":21}
`), &log)
	require.Equal(t, []string{"TestQuick"}, failed)
	require.Contains(t, log.String(), "something else")
	require.Equal(t, []cost{
		{"local", "TestInstall", "preflight", 12500 * time.Millisecond, ""},
		{"local", "TestQuick", "", 100 * time.Millisecond, "fail"},
		{"local", "TestInstall", "", 20 * time.Second, "pass"},
	}, c.all)
	c.print(&table)
	require.Contains(t, table.String(), "| local | TestInstall | preflight | 12.5 |\n")
	require.Contains(t, table.String(), "| local | TestInstall | all of it: pass | 20.0 |\n")
}
