// Package systemconsole is the site for those who run the platform: tenants,
// the enterprise cluster, registries, accounts and settings.
//
// A Server is a handler over a store. The pages and the interface for programs
// below /api/v1 do the same through the same packages: auth, tenant and audit
// hold the rules, a handler only reads a request and shows a result. One table
// (routes) says what can be asked for and by whom, and one function (fail) turns
// errors into answers.
package systemconsole

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/recent"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/upgrades"
	"github.com/sealift/sealift/systemconsole/web"
)

// Options are what a server works with. Store and Keeper are required.
type Options struct {
	Store  store.Store
	Keeper seal.Keeper // of the master key, which wraps the keys of tenants
	// Tenants gives tenants their place in the cluster; nil where there is none.
	Tenants tenant.Provisioner
	Logger  *slog.Logger     // nil means nobody is told
	Now     func() time.Time // nil means time.Now
	// URL is the address that links in mails have, such as
	// https://console.example.com; empty means the address of the request.
	URL string
	// FailureTime is how long a failed login takes at least; see auth.Options.
	FailureTime time.Duration
	// Cluster finds the enterprise cluster; nil, and enterprise.ErrNotFound,
	// mean that there is none yet.
	Cluster func(context.Context) (enterprise.Source, error)
	// Installation makes one; nil where the console cannot.
	Installation enterprise.Installation
	// Upgrader brings it to a newer release; nil where the console cannot.
	Upgrader enterprise.Upgrader
	// UpgradeLease is how long a replica that says nothing keeps an upgrade; see upgrades.Options.
	UpgradeLease time.Duration
	// Uploads is the folder that bundles are received in; empty means that
	// none can be uploaded.
	Uploads string
	// UploadRoom is how many bytes all uploads in that folder may have together;
	// 0 means that each may have registries.MaxUpload.
	UploadRoom int64
	// CertFile and KeyFile are those that Serve was given; empty means that
	// pages cannot change the certificate.
	CertFile, KeyFile string
	// KeepCertificate keeps another certificate; nil means that it is written to
	// CertFile and KeyFile.
	KeepCertificate func(ctx context.Context, certificate, key []byte) error
	// Level is that of Logger, which administrators may set; nil means that
	// they cannot.
	Level *slog.LevelVar
}

// Server is the console.
type Server struct {
	opts    Options
	url     *url.URL
	version string
	log     *slog.Logger
	web     *web.Renderer
	audit   *audit.Log
	auth    *auth.Service
	tenants *tenant.Service
	metrics *metrics
	routed  *http.ServeMux
	handler http.Handler

	found      *recent.Value[*enterprise.Recent]
	settings   *settings.Service
	registries *registries.Service
	uploads    *receiver // nil without a folder for bundles
	upgrades   *upgrades.Service
	tending    sync.WaitGroup // of what goes on until the context of New is done

	runs    backup.Runs
	lastRun *recent.Value[backup.Run] // for pages
	asked   chan asked                // who forgot a password and waits for a mail
	askers  struct {
		sync.Mutex
		of map[string]*rate.Limiter // by IP address
	}
}

// New makes a server and what the store lacks: the first account.
func New(ctx context.Context, opts Options) (*Server, error) {
	if opts.Store == nil || opts.Keeper == nil {
		return nil, errors.New("a console needs a store and a master key")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	renderer, err := web.New()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: opts.Logger, web: renderer, version: buildinfo.Version()}
	if s.url, err = publicURL(opts.URL); err != nil {
		return nil, err
	}
	s.audit = audit.New(opts.Store, audit.Options{Logger: opts.Logger, Now: opts.Now})
	s.settings = settings.New(opts.Store, s.audit, opts.Keeper)
	s.auth = auth.New(opts.Store, s.audit, auth.Options{Now: opts.Now, Policy: s.policy, FailureTime: opts.FailureTime, Keeper: opts.Keeper})
	s.tenants = tenant.New(opts.Store, s.audit, s.auth, tenant.Options{Keeper: opts.Keeper, Provisioner: placesOf(opts.Tenants), Now: opts.Now})
	s.metrics, s.runs = newMetrics(), backup.NewRuns(opts.Store)
	lastRun := func(ctx context.Context) (backup.Run, error) { return s.runs.Last(ctx, s.now()) }
	s.lastRun = recent.New(lastRun, recent.Options{Fresh: runOldest / 2, Bound: runOldest})
	s.metrics.tellBackups(func() backup.Run { return s.run(ctx) })
	if err := s.auth.Bootstrap(ctx); err != nil {
		return nil, err
	}
	s.registries = registries.New(opts.Store, s.audit, opts.Keeper, registries.Options{Proxy: s.settings.Proxy})
	if opts.Uploads != "" {
		if s.uploads, err = newReceiver(ctx, s.registries, opts); err != nil {
			return nil, err
		}
	}
	if opts.Cluster != nil {
		s.found = recent.New(s.findCluster, recent.Options{Fresh: clusterLife, Bound: clusterLife})
	}
	s.follow(ctx)
	s.asked, s.askers.of = make(chan asked, askedWaiting), map[string]*rate.Limiter{}
	go s.answerAsked(ctx)
	s.upgrades = upgrades.New(opts.Store, s.audit, opts.Upgrader, upgrades.Options{Logger: opts.Logger, Now: opts.Now, Lease: opts.UpgradeLease})
	s.tending.Go(func() { s.upgrades.Tend(ctx) })
	s.tending.Go(func() { s.keepBackups(ctx) })
	go s.followLevel(ctx)
	s.routed = s.mux()
	s.handler = s.chain(s.routed)
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// render shows a page; a handler returns what it returns.
func (s *Server) render(w http.ResponseWriter, p web.Page) error {
	return s.web.Render(w, http.StatusOK, p)
}

// frame is what surrounds a page of a request.
func (s *Server) frame(r *http.Request, title, section string) web.Frame {
	id := auth.IdentityOf(r.Context())
	f := web.Frame{Title: title, Section: section, Account: id.Account, Role: string(id.Role), FormToken: id.FormToken,
		Notice: notice(r), Version: s.version, Theme: theme(r), Path: s.pageOf(r), Banner: s.current(r.Context()).Banner,
		Rules: s.auth.Policy(r.Context()).Rules(), Site: "System console", OwnPath: "/me"}
	if r.Method == http.MethodGet {
		f.ReloadPath = reloadOf(r.URL)
	}
	if id.Tenant != "" {
		return s.tenantFrame(r, f)
	}
	f.Says = s.backupAlerts(r)
	for _, e := range navigation() {
		if id.May(e.needs) {
			f.Entries = append(f.Entries, e.entry)
		}
	}
	return f
}

// entry is one of the navigation with who may see it.
type entry struct {
	entry web.Entry
	needs auth.Permission
}

// navigation is the main menu, in its order.
func navigation() []entry {
	return []entry{
		{web.Entry{Name: "summary", Label: "Summary", URL: "/"}, auth.Self},
		{web.Entry{Name: "tenants", Label: "Tenants", URL: "/tenants"}, auth.ReadTenants},
		{web.Entry{Name: "cluster", Label: "Enterprise cluster", URL: "/cluster"}, auth.ReadCluster},
		{web.Entry{Name: "registries", Label: "Registries", URL: "/registries"}, auth.ReadRegistries},
		{web.Entry{Name: "administration", Label: "Administration", URL: "/administration"}, auth.ReadSettings},
		{web.Entry{Name: "accounts", Label: "Accounts", URL: "/accounts"}, auth.ReadAccounts},
		{web.Entry{Name: "audit", Label: "Audit", URL: "/audit"}, auth.ReadAudit},
		{web.Entry{Name: "me", Label: "My account", URL: "/me"}, auth.Self},
	}
}

// publicURL reads the address that links have.
func publicURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the address of each request is taken
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the console's address is no https:// URL")
	}
	return u, nil
}
