package systemconsole

import (
	"strings"

	"github.com/sealift/sealift/systemconsole/enterprise"
)

// selectNodes returns the nodes whose name, pool or address has a text in it;
// with attention only those that are not well.
func selectNodes(o *enterprise.Overview, filter string, attention bool) []*enterprise.Node {
	filter = strings.ToLower(strings.TrimSpace(filter))
	var out []*enterprise.Node
	for n := range o.Nodes() {
		if (!attention || n.Status.State != enterprise.Good) && (filter == "" || matches(n, filter)) {
			out = append(out, n)
		}
	}
	return out
}

func matches(n *enterprise.Node, filter string) bool {
	return strings.Contains(strings.ToLower(n.Name+" "+n.Pool+" "+strings.Join(n.Addresses, " ")), filter)
}
