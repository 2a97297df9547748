package preflight_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/vsphere"
)

// Every check and every privilege stands in docs/install.md.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/install.md")
	require.NoError(t, err)
	doc := string(data)
	for name := range newLab(t).run() {
		group, rest, _ := strings.Cut(name, "-")
		if !strings.Contains(doc, "`"+name+"`") { // a row may name several of a group: `inventory-datacenter`, `-cluster`
			require.Contains(t, doc, "`"+group+"-")
			require.Contains(t, doc, "`-"+rest+"`", name)
		}
	}
	for _, p := range append(vsphere.LookPrivileges(), vsphere.MachinePrivileges()...) {
		group, name := p[:strings.LastIndex(p, ".")], p[strings.LastIndex(p, ".")+1:]
		if strings.Contains(doc, p) {
			continue
		}
		_, row, found := strings.Cut(doc, "| "+group+" | ")
		require.True(t, found, group)
		row, _, _ = strings.Cut(row, "\n")
		require.Regexp(t, `\b`+name+`\b`, row)
	}
}
