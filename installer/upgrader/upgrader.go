// Package upgrader plans upgrades and carries them out for the system console:
// on the host of the installation, from a bundle there, and in the cluster
// itself, from a bundle in the site's registry. The work is package steps'; this
// package only finds what it needs.
package upgrader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
)

// Surroundings are what an upgrade works with.
type Surroundings struct {
	Site              *site.Site
	VCenter, Registry site.Login
	// Dir is a folder of this host alone, with the kubeconfig of the cluster's
	// administrator.
	Dir string
	// Verifier has the key that bundles are signed with.
	Verifier *sign.Verifier
}

// Options say where things are.
type Options struct {
	// Enter finds the surroundings, anew for each plan and each run. leave is
	// called after it.
	Enter func(ctx context.Context) (s *Surroundings, leave func() error, err error)
	// File is a bundle besides those in the site's registry; "" is none.
	File string
	// Open returns how File is opened.
	Open func(ctx context.Context) (bundles.OpenOptions, error)
}

// Upgrader is an enterprise.Upgrader of the console.
type Upgrader struct{ opts Options }

// New returns an upgrader.
func New(opts Options) *Upgrader { return &Upgrader{opts} }

// session is one use of the surroundings.
type session struct {
	*Surroundings
	opts    Options
	client  *registry.Client
	mapping *mirror.Mapping
}

// enter connects to the registry; do works with it.
func (u *Upgrader) enter(ctx context.Context, do func(*session) error) (err error) {
	around, leave, err := u.opts.Enter(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	s := &session{Surroundings: around, opts: u.opts}
	r := s.Site.Spec.Registry
	opts := registry.Options{Host: r.Endpoint, CAFile: s.Site.Path(r.CAFile), TokenServers: r.TokenServers, Username: s.Registry.Username, Password: s.Registry.Password.Reveal()}
	if r.PlainHTTP {
		opts.PlainHTTP = []string{r.Endpoint}
	}
	if s.client, err = registry.NewClient(opts); err != nil {
		return err
	}
	if s.mapping, err = mirror.ParseMapping(r.Prefix, nil); err != nil {
		return err
	}
	return do(s)
}

// Bundles returns the file's bundle and those that the registry has, the newest
// first.
func (u *Upgrader) Bundles(ctx context.Context) (out []upgrade.Bundle, err error) {
	err = u.enter(ctx, func(s *session) error {
		pushed, err := mirror.Pushed(ctx, s.client, s.Site.Spec.Registry.Endpoint, s.mapping)
		if err != nil {
			return err
		}
		for _, p := range pushed {
			out = append(out, upgrade.Bundle{ID: p.Tag, Name: p.Name, Version: p.Version, Statement: string(p.Statement), From: path.Join(s.Site.Spec.Registry.Endpoint, s.Site.Spec.Registry.Prefix)})
		}
		return s.addFile(ctx, &out)
	})
	slices.SortStableFunc(out, func(a, b upgrade.Bundle) int { return semver.Compare("v"+b.Version, "v"+a.Version) })
	return out, err
}

// Registry returns the registry of the site.
func (u *Upgrader) Registry(ctx context.Context) (out *upgrade.Registry, err error) {
	err = u.enter(ctx, func(s *session) error {
		r := s.Site.Spec.Registry
		if r.PlainHTTP {
			return problem.New(problem.Failed, "give the registry a certificate", "registry %s has no TLS, and the console takes no bundles there", r.Endpoint)
		}
		out = &upgrade.Registry{Endpoint: r.Endpoint, Prefix: r.Prefix, Username: s.Registry.Username, Password: s.Registry.Password.Reveal(), Key: string(s.Verifier.PublicKey())}
		if r.CAFile == "" {
			return nil
		}
		ca, err := os.ReadFile(s.Site.Path(r.CAFile))
		if err != nil {
			return fmt.Errorf("reading the registry's authority: %w", err)
		}
		out.CA = string(ca)
		return nil
	})
	return out, err
}

// fileID is the id of the file's bundle.
const fileID = "file"

// addFile adds the file's bundle, in place of the same one in the registry: from
// the file the registry can be filled.
func (s *session) addFile(ctx context.Context, to *[]upgrade.Bundle) error {
	if s.opts.File == "" {
		return nil
	}
	r, err := s.openFile(ctx)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	st := r.Statement()
	b := upgrade.Bundle{ID: fileID, Name: st.Name, Version: st.Version, Statement: string(r.StatementDigest()), From: filepath.Base(s.opts.File)}
	*to = append(slices.DeleteFunc(*to, func(other upgrade.Bundle) bool { return other.Statement == b.Statement }), b)
	return nil
}

func (s *session) openFile(ctx context.Context) (*archive.Reader, error) {
	open, err := s.opts.Open(ctx)
	if err != nil {
		return nil, err
	}
	return bundles.Open(ctx, s.opts.File, open)
}

// open opens a bundle. Its signature is checked before anything of it is believed.
func (s *session) open(ctx context.Context, id string) (r *archive.Reader, filled bool, err error) {
	if id == fileID && s.opts.File != "" {
		r, err = s.openFile(ctx)
		return r, false, err
	}
	r, err = mirror.OpenPushed(ctx, s.client, s.Site.Spec.Registry.Endpoint, s.mapping, id, s.Verifier)
	return r, true, err
}

// install prepares the steps; do works with them.
func (s *session) install(ctx context.Context, id string, choices upgrade.Choices, do func(in *steps.Installation, filled bool) error) (err error) {
	bundle, filled, err := s.open(ctx, id)
	if err != nil {
		return err
	}
	defer bundle.Close() //nolint:errcheck // it was only read
	content, err := release.Open(ctx, bundle)
	if err != nil {
		return err
	}
	if missing := content.Missing(); len(missing) > 0 {
		return problem.New(problem.Preflight, "make the bundle again from its release, and carry that over", "the bundle lacks what its release needs:\n%w", errors.Join(missing...))
	}
	v := s.Site.Spec.VCenter
	center, err := vsphere.Connect(ctx, v.Server, vsphere.User{Name: s.VCenter.Username, Password: s.VCenter.Password.Reveal()},
		vsphere.Options{CAFile: s.Site.Path(v.CAFile), Thumbprint: v.Thumbprint})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, center.Close(context.WithoutCancel(ctx))) }()
	in, err := steps.New(ctx, steps.Options{Site: s.Site, Bundle: bundle, Release: content, Registry: s.client, VCenter: center, VCenterLogin: s.VCenter,
		RegistryLogin: s.Registry, Dir: s.Dir, Progress: progress.None{}, Choices: choices,
		Signed: steps.Signature{Key: s.Verifier.PublicKey(), Fingerprint: s.Verifier.Fingerprint(), Verified: time.Now()}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close(ctx)) }()
	return do(in, filled)
}

// Plan returns what an upgrade to a bundle would change, and changes nothing.
func (u *Upgrader) Plan(ctx context.Context, bundle string) (plan *upgrade.Plan, err error) {
	err = u.enter(ctx, func(s *session) error {
		return s.install(ctx, bundle, nil, func(in *steps.Installation, filled bool) error {
			if plan, err = in.PlanUpgrade(ctx); err != nil {
				return err
			}
			plan.Filled = filled
			return nil
		})
	})
	return plan, err
}

// Run carries an upgrade out, or goes on with one. Who takes an upgrade up finds
// the cluster in the middle of it: its API server may be away for a moment.
func (u *Upgrader) Run(ctx context.Context, bundle string, choices upgrade.Choices, o upgrade.Observer) error {
	began := false // the steps have a patience of their own
	p := retry.Patience{Away: func(err error) bool { return !began && (clusterapi.Passing(err) || retry.Connection(err)) }}
	_, err := p.Do(ctx, func(ctx context.Context) error {
		return u.enter(ctx, func(s *session) error {
			return s.install(ctx, bundle, choices, func(in *steps.Installation, _ bool) error {
				if err := in.Hold(); err != nil {
					return err
				}
				list, err := in.UpgradeSteps(ctx)
				if err != nil {
					return err
				}
				began = true
				return runSteps(ctx, list, o)
			})
		})
	})
	return err
}

func runSteps(ctx context.Context, list []step.Step, o upgrade.Observer) error {
	var names []string
	for _, one := range list {
		names = append(names, one.Name())
	}
	o.Steps(names)
	_, err := step.Run(ctx, list, step.Options{Observer: observer{o}, Passing: clusterapi.Passing, Remedy: "then resume it: it goes on with this step"})
	return err
}

// Installed returns what the last installation or upgrade brought; nil when the
// cluster has no record of it.
func (u *Upgrader) Installed(ctx context.Context) (*upgrade.Installed, error) {
	around, leave, err := u.opts.Enter(ctx)
	if errors.Is(err, ErrNoRecord) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	installed, err := steps.Installed(ctx, filepath.Join(around.Dir, steps.KubeconfigFile))
	return installed, errors.Join(err, leave())
}

// observer tells the console of steps.
type observer struct{ to upgrade.Observer }

// Began implements step.Observer.
func (o observer) Began(n int, _ string) { o.to.Step(n, upgrade.Running, "it begins") }

// Said implements step.Observer.
func (o observer) Said(n int, text string) { o.to.Step(n, upgrade.Running, text) }

// Ended implements step.Observer.
func (o observer) Ended(n int, r step.Result) {
	switch r.Outcome {
	case step.Failed:
		o.to.Step(n, upgrade.Failed, strings.Join(append([]string{r.Err.Error()}, problem.Remedies(r.Err)...), "; "))
	case step.Skipped:
		o.to.Step(n, upgrade.Before, r.Detail)
	default:
		o.to.Step(n, upgrade.Done, fmt.Sprintf("%s, in %s", r.Detail, r.Took.Round(time.Second)))
	}
}
