package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// ErrOther means: something else has the template's name.
var ErrOther = errors.New("the name is taken")

// Place is where a template stands and what its machines will be like by
// default: inventory paths as finders take them, such as /DC0/vm/templates.
type Place struct {
	Name       string // of the template
	Datacenter string
	Folder     string
	Pool       string
	Datastore  string
	Network    string // for the cards of the OVA
}

// Path is the template's inventory path.
func (p Place) Path() string { return p.Folder + "/" + p.Name }

// State is what stands at a place.
type State struct {
	Exists bool
	Ready  bool          // it is a template
	Digest digest.Digest // of the OVA that it was made of; "" when sealift did not make it
}

// Options is how an import goes. The zero value tells nobody.
type Options struct {
	Progress progress.Reporter
	// Keepalive is how often the vCenter hears that the import goes on; 0 means
	// 5 seconds. It ends a lease that is silent for five minutes.
	Keepalive time.Duration
}

// underWay ends the name of a template that is not complete yet.
const underWay = ".importing"

// mark begins the annotation of a template.
const mark = "sealift: node template of OVA "

// Imported tells by its annotation whether sealift made a template, or began to.
func Imported(annotation string) bool { return strings.HasPrefix(annotation, mark) }

// Look says what stands at a place.
func Look(ctx context.Context, c *vim25.Client, p Place) (State, error) {
	_, s, err := look(ctx, c, p.Path())
	return s, err
}

func look(ctx context.Context, c *vim25.Client, path string) (*object.VirtualMachine, State, error) {
	vm, err := find.NewFinder(c).VirtualMachine(ctx, path)
	var missing *find.NotFoundError
	if errors.As(err, &missing) {
		return nil, State{}, nil
	}
	if err != nil {
		return nil, State{}, fmt.Errorf("looking for %s: %w", path, err)
	}
	var config mo.VirtualMachine
	if err := property.DefaultCollector(c).RetrieveOne(ctx, vm.Reference(), []string{"config.template", "config.annotation"}, &config); err != nil {
		return nil, State{}, fmt.Errorf("looking at %s: %w", path, err)
	}
	s := State{Exists: true}
	if config.Config != nil {
		s.Ready = config.Config.Template
		if sum, ok := strings.CutPrefix(config.Config.Annotation, mark); ok {
			s.Digest = digest.Digest(sum)
		}
	}
	return vm, s, nil
}

// Import makes the template of an OVA, whose digest is sum. What is there
// already stays; what a run before left half done is removed first. It fails
// with ErrOther when something else has the name.
func Import(ctx context.Context, c *vim25.Client, p Place, ova *OVA, sum digest.Digest, opts Options) error {
	vm, state, err := look(ctx, c, p.Path())
	if err != nil {
		return err
	}
	if state.Exists && state.Digest != sum {
		return other(p.Path(), state)
	}
	if state.Exists && state.Ready {
		return nil
	}
	if !state.Exists {
		if vm, err = upload(ctx, c, p, ova, sum, opts); err != nil {
			return fmt.Errorf("importing template %s: %w", p.Path(), remedied(err))
		}
	}
	if err := vm.MarkAsTemplate(ctx); err != nil {
		return fmt.Errorf("making %s a template: %w", p.Path(), err)
	}
	return nil
}

func other(path string, s State) error {
	what := "something that sealift did not make"
	if s.Digest != "" {
		what = "a template of another OVA, " + s.Digest.String()
	}
	return problem.New(problem.Failed, "rename or remove what is there, or set another spec.cluster.template", "%w: %s is %s", ErrOther, path, what)
}

// upload brings the OVA in under a name of its own, and gives it the right one
// at the end.
func upload(ctx context.Context, c *vim25.Client, p Place, ova *OVA, sum digest.Digest, opts Options) (*object.VirtualMachine, error) {
	if err := removeLeftover(ctx, c, p.Path()+underWay); err != nil {
		return nil, err
	}
	i, err := newImporter(ctx, c, p, ova)
	if err != nil {
		return nil, err
	}
	name := p.Name + underWay
	var networks []importer.Network
	for _, n := range ova.networks {
		networks = append(networks, importer.Network{Name: n, Network: p.Network})
	}
	info, lease, err := i.ImportVApp(ctx, "*.ovf", importer.Options{Name: &name, DiskProvisioning: "thin", Annotation: mark + sum.String(), NetworkMapping: networks})
	if err != nil {
		return nil, err
	}
	if err := send(ctx, c, lease, info, ova, opts); err != nil {
		return nil, errors.Join(err, abort(ctx, lease))
	}
	if err := lease.Complete(ctx); err != nil {
		return nil, err
	}
	vm := object.NewVirtualMachine(c, info.Entity)
	task, err := vm.Rename(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	return vm, task.Wait(ctx)
}

// removeLeftover removes what an interrupted import left.
func removeLeftover(ctx context.Context, c *vim25.Client, path string) error {
	vm, state, err := look(ctx, c, path)
	if err != nil || !state.Exists {
		return err
	}
	if state.Digest == "" {
		return other(path, state)
	}
	task, err := vm.Destroy(ctx)
	if err != nil {
		return fmt.Errorf("removing %s, which an interrupted run left: %w", path, err)
	}
	return task.Wait(ctx)
}

// newImporter finds the places.
func newImporter(ctx context.Context, c *vim25.Client, p Place, ova *OVA) (*importer.Importer, error) {
	f := find.NewFinder(c)
	i := &importer.Importer{Log: func(string) (int, error) { return 0, nil }, Client: c, Finder: f, Archive: ova}
	var err error
	if i.Datacenter, err = f.Datacenter(ctx, p.Datacenter); err != nil {
		return nil, err
	}
	f.SetDatacenter(i.Datacenter)
	if i.Folder, err = f.Folder(ctx, p.Folder); err != nil {
		return nil, err
	}
	if i.ResourcePool, err = f.ResourcePool(ctx, p.Pool); err != nil {
		return nil, err
	}
	i.Datastore, err = f.Datastore(ctx, p.Datastore)
	return i, err
}

// abortTimeout is how long giving up an import may take.
const abortTimeout = 30 * time.Second

// abort gives an import up, also when ctx is done: the vCenter removes the machine.
func abort(ctx context.Context, lease *nfc.Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := lease.Abort(ctx, nil); err != nil {
		return fmt.Errorf("giving the import up: %w", err)
	}
	return nil
}

// remedied says what helps against the failures that are known.
func remedied(err error) error {
	switch {
	case fault.Is(err, &types.NoDiskSpace{}) || errors.Is(err, errNoSpace):
		return problem.WithRemedy(err, "make room on the datastore, or name another one in spec.vcenter.datastore")
	case fault.Is(err, &types.NoPermission{}):
		return problem.WithRemedy(err, "give the user the privileges that docs/install.md lists; sealift preflight names those missing")
	default:
		return err
	}
}
