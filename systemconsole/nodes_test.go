package systemconsole

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/enterprise"
)

func TestPagesOfNodes(t *testing.T) {
	var pool enterprise.Pool
	for i := range 2*rowsPerPage + 1 {
		n := enterprise.Node{Name: fmt.Sprintf("worker-%03d", i), Pool: "batch", Addresses: []string{"10.0.0.1"}}
		if n.Status.State = enterprise.Good; i == 7 {
			n.Status.State = enterprise.Bad
		}
		pool.Nodes = append(pool.Nodes, n)
	}
	o := &enterprise.Overview{Pools: []enterprise.Pool{pool}}
	require.Len(t, selectNodes(o, " WORKER-00", false), 10)
	require.Len(t, selectNodes(o, "batch", true), 1)
	require.Empty(t, selectNodes(o, "10.0.0.2", false))
	for _, c := range []struct {
		number               string
		rows, previous, next int
	}{{"", rowsPerPage, 0, 2}, {"1", rowsPerPage, 0, 2}, {"2", rowsPerPage, 1, 3}, {"3", 1, 2, 0}, {"99", 1, 2, 0}, {"-4", rowsPerPage, 0, 2}, {"x", rowsPerPage, 0, 2}} {
		rows, pages := pageOf(pool.Nodes, c.number, rowsPerPage)
		require.Equal(t, []int{c.rows, c.previous, c.next}, []int{len(rows), pages.Previous(), pages.Next()}, "page %q", c.number)
	}
	rows, pages := pageOf([]int(nil), "2", rowsPerPage)
	require.Empty(t, rows)
	require.Zero(t, pages.Previous()+pages.Next())
}

func TestNodesThatAreNotListedAreCounted(t *testing.T) {
	require.Equal(t, "1 more node is not ready", moreNodes(1))
	require.Equal(t, "12 more nodes are not ready", moreNodes(12))
}
