// Package console measures the system console: the programs that ship, with
// both stores, filled with 10,000 tenants and a cluster of 1,000 nodes, under
// 200 sessions that do what administrators do.
//
// The figures of a machine that does other work as well are only as good as
// its idle time. CPU time of the console for each page is therefore measured
// beside wall time: it says what two cores allow whoever else runs.
package console
