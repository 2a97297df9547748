package vcenter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi"
	_ "github.com/vmware/govmomi/pbm/simulator" // storage policies: an endpoint that registers itself
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags and content libraries: likewise
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
)

// Options says what a vCenter is like. The zero value is a vCenter on a free
// port of 127.0.0.1 with the inventory that Site returns, whose machines have
// power but never boot.
type Options struct {
	Addr      string       // where to listen; default 127.0.0.1:0
	Hosts     []string     // further names and addresses for the certificate
	Admin     User         // who may do anything; default administrator@vsphere.local
	Inventory *Inventory   // default Site()
	Runtime   Runtime      // what machines boot in; default nothing
	Log       *slog.Logger // default: nothing is logged
}

// VCenter is a running vCenter. Its methods may be called from several
// goroutines.
type VCenter struct {
	options  Options
	model    *simulator.Model
	server   *simulator.Server
	identity identity
	faults   faults
	guests   *guests
	ended    chan struct{} // closed when the vCenter ends
	closing  sync.Once
	uploads  uploads
	rest     restSessions
	tasks    atomic.Int64 // number of the last outer task
	state    atomic.Int32 // up, down or starting

	// provision is held while space is checked and taken, and while the
	// simulator works on datastores: it reads them without their locks.
	provision sync.Mutex
	ballast   map[string]int64                        // bytes that strangers hold, by datastore; under provision
	macs      map[string]types.ManagedObjectReference // whose each address is; under provision
	lastMAC   uint32                                  // under provision

	passwords sync.Map // that users were given later, by their names

	origins sync.Map // machine -> name of the template that it was cloned from
	disks   sync.Map // machine -> SHA-256 of the disk that was imported for it or its template
}

// Start starts a vCenter. It is up, with its inventory, when Start returns;
// Close ends it.
func Start(ctx context.Context, options Options) (*VCenter, error) {
	options = withDefaults(options)
	v := &VCenter{options: options, ended: make(chan struct{}), ballast: map[string]int64{}, macs: map[string]types.ManagedObjectReference{}}
	var err error
	if v.identity, err = newIdentity(options.Addr, options.Hosts); err != nil {
		return nil, fmt.Errorf("making the certificate of the vCenter: %w", err)
	}
	v.model = emptyModel()
	if err := v.model.Create(); err != nil {
		return nil, fmt.Errorf("creating the model of the vCenter: %w", err)
	}
	if err := v.build(ctx); err != nil {
		v.model.Remove()
		return nil, fmt.Errorf("building the inventory of the vCenter: %w", err)
	}
	if err := v.listen(); err != nil {
		v.model.Remove()
		return nil, err
	}
	if err := v.finish(ctx); err != nil {
		v.Close()
		return nil, fmt.Errorf("building the inventory of the vCenter: %w", err)
	}
	return v, nil
}

func withDefaults(o Options) Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Admin.Name == "" {
		o.Admin = User{Name: "administrator@vsphere.local", Password: "Dark-Site-1!"}
	}
	if o.Inventory == nil {
		site := Site()
		o.Inventory = &site
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// emptyModel is a vCenter 8.0 without a datacenter.
func emptyModel() *simulator.Model {
	m := simulator.VPX()
	m.Datacenter, m.Portgroup, m.Host, m.Cluster, m.ClusterHost, m.Datastore, m.Machine = 0, 0, 0, 0, 0, 0, 0
	about := &m.ServiceContent.About
	about.Version, about.ApiVersion, about.Build = "8.0.3", "8.0.3.0", "24322831"
	about.FullName = "VMware vCenter Server 8.0.3 build-24322831"
	about.LicenseProductVersion = "8.0"
	return m
}

// listen starts the server. What goes through it passes v's checks first.
func (v *VCenter) listen() (err error) {
	s := v.model.Service
	s.Listen = &url.URL{Host: v.options.Addr, User: url.UserPassword(v.options.Admin.Name, v.options.Admin.Password)}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{v.identity.leaf}}
	s.RegisterEndpoints = true
	v.registry().SessionManager().ValidLogin = v.validLogin
	v.registry().Handler = v.handle
	v.guests = newGuests(v)
	v.registry().AddHandler(v.guests)
	// The simulator panics where it cannot listen.
	defer func() {
		if r := recover(); r != nil {
			err = problem.New(problem.Preflight, "end what listens there (ss -ltnp shows it), or choose another address", "listening on %s: %v", v.options.Addr, r)
		}
	}()
	v.server = s.NewServer()
	v.server.Config.Handler = v.unlessAway(v.checkHTTP(v.server.Config.Handler))
	return nil
}

// Close ends the vCenter: its machines are destroyed, its datastores removed.
// Calls under way are cut off; no client is waited for.
func (v *VCenter) Close() {
	v.closing.Do(func() {
		close(v.ended)
		if v.server != nil {
			_ = v.server.Config.Close() // what it cannot close is closed
		}
		v.guests.close()
		v.model.Remove()
	})
}

// pause waits, but not longer than the vCenter runs.
func (v *VCenter) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-v.ended:
	}
}

// URL returns the address of the SDK, without a user.
func (v *VCenter) URL() *url.URL {
	u := *v.server.URL
	u.User = nil
	return &u
}

// Authority returns the certificate of the private authority that signed the
// server's certificate, PEM.
func (v *VCenter) Authority() []byte { return v.identity.authority }

// Thumbprint returns the SHA-1 thumbprint of the server's certificate, as
// AA:BB:...
func (v *VCenter) Thumbprint() string { return soap.ThumbprintSHA1(v.identity.cert) }

// Admin returns the user who may do anything.
func (v *VCenter) Admin() User { return v.options.Admin }

// Client logs in and returns a client that trusts the private authority and
// nothing else.
func (v *VCenter) Client(ctx context.Context, user User) (*govmomi.Client, error) {
	sc := soap.NewClient(v.URL(), false)
	sc.DefaultTransport().TLSClientConfig.RootCAs = v.identity.pool
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", v.URL().Host, err)
	}
	c := &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}
	if err := c.Login(ctx, url.UserPassword(user.Name, user.Password)); err != nil {
		return nil, fmt.Errorf("logging in to %s as %s: %w", v.URL().Host, user.Name, err)
	}
	return c, nil
}

func (v *VCenter) registry() *simulator.Registry { return v.model.Map() }

// own returns a context for v's own work, which may do anything.
func (v *VCenter) own(ctx context.Context) *simulator.Context {
	return &simulator.Context{Context: ctx, Map: v.registry()}
}

// inside returns a client that does not go through the network.
func (v *VCenter) inside(ctx context.Context) (*vim25.Client, error) {
	return vim25.NewClient(ctx, v.model.Service)
}

var errNotFound = errors.New("not in the inventory")
