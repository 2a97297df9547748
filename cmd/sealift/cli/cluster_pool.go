package cli

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

// poolAt is the path of something of a pool in the API.
func poolAt(name, what string) string { return "cluster/pools/" + url.PathEscape(name) + "/" + what }

func (a *app) clusterScale(c *consoleClient) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "scale POOL MACHINES", Short: "Set how many machines a pool has",
		Long: `Makes or removes machines until the pool has as many as are asked for. POOL is one that sealift cluster pools lists, or control-plane.

A control plane has 1, 3 or 5 machines. The console refuses what would cost etcd its majority, and what is asked for while machines
are replaced or an upgrade runs.`,
		Example: `  sealift cluster scale control-plane 3 --wait
  sealift cluster scale enterprise-default 5`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: completePools(c),
		RunE: func(cmd *cobra.Command, args []string) error {
			machines, err := strconv.Atoi(args[1])
			if err != nil {
				return problem.New(problem.Usage, "give a whole number", "%.20q machines", args[1])
			}
			o, err := overview(cmd, c)
			if err != nil {
				return err
			}
			pool, err := poolNamed(o, args[0])
			if err != nil {
				return err
			}
			if err := call(cmd, c, "POST", poolAt(pool.Name, "scale"), systemconsole.Scale{Machines: machines}, nil); err != nil {
				return err
			}
			return a.changed(cmd.Context(), c, &w, fmt.Sprintf("scale %s to %s", pool.Name, plural(machines, "machine")), scaled(pool.Name, machines))
		},
	}
	w.addTo(cmd)
	return cmd
}

// sizeFlags are the size of a pool's machines.
type sizeFlags struct {
	name               string
	cpus, memory, disk int
}

func (f *sizeFlags) addTo(cmd *cobra.Command) {
	var names []string
	for _, n := range enterprise.Sizes() {
		names = append(names, n.Name+"\t"+n.Size.String())
	}
	fl := cmd.Flags()
	fl.StringVar(&f.name, "size", "", "`name` of a size: small, medium or large")
	fl.IntVar(&f.cpus, "cpus", 0, "`number` of CPUs of each machine")
	fl.IntVar(&f.memory, "memory", 0, "`GiB` of memory of each machine")
	fl.IntVar(&f.disk, "disk", 0, "`GiB` of disk of each machine")
	complete(cmd, "size", names...)
}

// size is the size that the flags say. What is given besides a name goes before
// it; what is not given at all is zero.
func (f *sizeFlags) size() (enterprise.Size, error) {
	var s enterprise.Size
	if f.name != "" {
		var ok bool
		if s, ok = sizeNamed(f.name); !ok {
			return s, problem.New(problem.Usage, "give small, medium or large, or --cpus, --memory and --disk", "--size %.40q", f.name)
		}
	}
	for value, to := range map[*int]*int{&f.cpus: &s.CPUs, &f.disk: &s.DiskGiB} {
		if *value != 0 {
			*to = *value
		}
	}
	if f.memory != 0 {
		s.MemoryMiB = f.memory << 10
	}
	return s, nil
}

func sizeNamed(name string) (enterprise.Size, bool) {
	for _, n := range enterprise.Sizes() {
		if n.Name == name {
			return n.Size, true
		}
	}
	return enterprise.Size{}, false
}

func (a *app) poolAdd(c *consoleClient) *cobra.Command {
	var w waiting
	var f sizeFlags
	p := enterprise.NewPool{Machines: 1}
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a pool of workers",
		Long: `Adds a pool after the example of the first pool of workers: same template, network and version. What of a size is not given is as there.`,
		Example: `  sealift cluster pool add batch --machines 3 --size large --wait
  sealift cluster pool add build --cpus 16 --memory 32 --disk 200`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if p.Size, err = f.size(); err != nil {
				return err
			}
			p.Name = args[0]
			if err := call(cmd, c, "POST", "cluster/pools", p, nil); err != nil {
				return err
			}
			return a.changed(cmd.Context(), c, &w, fmt.Sprintf("add pool %s with %s", p.Name, plural(p.Machines, "machine")), scaled(p.Name, p.Machines))
		},
	}
	cmd.Flags().IntVar(&p.Machines, "machines", p.Machines, "`number` of its machines")
	f.addTo(cmd)
	w.addTo(cmd)
	return cmd
}

func (a *app) poolRemove(c *consoleClient) *cobra.Command {
	var w waiting
	var in systemconsole.PoolRemoval
	cmd := &cobra.Command{
		Use: "remove NAME --confirm NAME", Short: "Remove a pool with all its machines",
		Long:    `Machines are drained and deleted. What runs on them moves to other pools, as far as there is room. The last pool stays.`,
		Example: `  sealift cluster pool remove batch --confirm batch --wait`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: completePools(c),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := call(cmd, c, "POST", poolAt(args[0], "delete"), in, nil); err != nil {
				return err
			}
			return a.changed(cmd.Context(), c, &w, "remove pool "+args[0], removed(args[0]))
		},
	}
	cmd.Flags().StringVar(&in.Confirm, "confirm", "", "the pool's `name`, once more")
	w.addTo(cmd)
	return cmd
}

func (a *app) poolResize(c *consoleClient) *cobra.Command {
	var w waiting
	var f sizeFlags
	cmd := &cobra.Command{
		Use: "resize POOL", Short: "Replace the machines of a pool by those of another size",
		Long: `Makes a machine of the new size, waits until it is ready, then drains and deletes one of the old size, until all are replaced. POOL may
be control-plane. What of a size is not given stays as it is.`,
		Example: `  sealift cluster pool resize enterprise-default --size large --wait
  sealift cluster pool resize control-plane --memory 32`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: completePools(c),
		RunE: func(cmd *cobra.Command, args []string) error {
			size, err := f.size()
			if err != nil {
				return err
			}
			if size == (enterprise.Size{}) {
				return problem.New(problem.Usage, "give --size, --cpus, --memory or --disk", "no size is given")
			}
			o, err := overview(cmd, c)
			if err != nil {
				return err
			}
			pool, err := poolNamed(o, args[0])
			if err != nil {
				return err
			}
			if err := call(cmd, c, "POST", poolAt(pool.Name, "resize"), size, nil); err != nil {
				return err
			}
			return a.changed(cmd.Context(), c, &w, "resize the machines of "+pool.Name, replaced(pool))
		},
	}
	f.addTo(cmd)
	w.addTo(cmd)
	return cmd
}
