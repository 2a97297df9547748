// Package support collects what somebody needs who shall help with a site, in
// one file: how the site stands, objects, events and logs of the cluster and of
// the control plane on this host, and what vCenter says of the machines.
//
// Every text goes through one Redactor. What could not be had is said in the
// file: half of a site being down is why it is made.
package support

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/status"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
)

// Options is what is collected. A server that cannot be reached is nil.
type Options struct {
	Site        *site.Site
	Dir         string // the installation's folder on this host
	Registry    *registry.Client
	RegistryErr error
	VCenter     *vsphere.Client
	VCenterErr  error
	// Logins are those of the site; their passwords are in no text.
	Logins   []site.Login
	MaxSize  int64         // of the file, in bytes; 0 means 200 MiB
	Timeout  time.Duration // of each part; 0 means 2 minutes
	Progress progress.Reporter
}

const (
	defaultMaxSize = 200 << 20
	defaultTimeout = 2 * time.Minute
)

// Summary is what a file has and has not.
type Summary struct {
	File    string   `json:"file"`
	Bytes   int64    `json:"bytes"`
	Parts   []string `json:"parts"`             // that are whole
	Missing []string `json:"missing,omitempty"` // what could not be had, and why
}

// collection is one file being made.
type collection struct {
	Options
	file    *file
	found   *status.Found
	missing []string
}

// part is one thing that is collected.
type part struct {
	name    string
	collect func(context.Context) error
}

// Collect writes the file at path. A part that fails is no error: the file says
// so.
func Collect(ctx context.Context, path string, opts Options) (*Summary, error) {
	if opts.MaxSize == 0 {
		opts.MaxSize = defaultMaxSize
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	redact := NewRedactor()
	for _, login := range opts.Logins {
		if !login.Password.Empty() { // where nobody logs in, a colon is no secret
			redact.Tell(login.Password.Reveal(), login.Username+":"+login.Password.Reveal())
		}
	}
	f, err := create(path, opts.MaxSize, redact)
	if err != nil {
		return nil, err
	}
	c := &collection{Options: opts, file: f, found: status.Find(ctx, opts.Dir, opts.Site.Spec.Cluster.Name)}
	parts, err := c.run(ctx)
	if err != nil {
		f.abandon()
		return nil, err
	}
	if err := f.close(); err != nil {
		return nil, err
	}
	return &Summary{File: path, Bytes: f.count.n, Parts: parts, Missing: c.missing}, nil
}

// run collects every part, and what there is to say of them at the end.
func (c *collection) run(ctx context.Context) (whole []string, err error) {
	parts := c.parts()
	phase := progress.OrNone(c.Progress).Count("collecting", len(parts))
	defer phase.Done()
	for _, p := range parts {
		task := phase.Task(p.name, 0)
		before := len(c.missing)
		err := c.one(ctx, p)
		task.Done()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			c.miss("%s: %v", p.name, err)
		}
		if len(c.missing) == before {
			whole = append(whole, p.name)
		}
	}
	for _, name := range c.file.left {
		c.miss("%s: no room in %d bytes", name, c.MaxSize)
	}
	for i, text := range c.missing { // they are printed, too
		c.missing[i] = string(c.file.redact.Bytes([]byte(text)))
	}
	return whole, c.file.add("missing.txt", []byte(strings.Join(append(c.missing, ""), "\n")), true)
}

func (c *collection) one(ctx context.Context, p part) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("not done within %s", c.Timeout))
	defer cancel()
	return p.collect(ctx)
}

// parts are what is collected, the most telling first. Secrets come before all
// else: their values are in no text that follows.
func (c *collection) parts() []part {
	out := []part{{"versions", c.versions}}
	for _, source := range c.sources() {
		out = append(out, part{source.name + "/secrets", source.secrets})
	}
	out = append(out, part{"status", c.status}, part{"preflight", c.preflight}, part{"site", c.site})
	for _, source := range c.sources() {
		out = append(out, part{source.name + "/objects", source.objects}, part{source.name + "/events", source.events})
	}
	out = append(out, part{"vcenter", c.vcenter}, part{"bootstrap/logs", c.processes})
	for _, source := range c.sources() {
		out = append(out, part{source.name + "/logs", source.logs})
	}
	return out
}

func (c *collection) miss(format string, args ...any) {
	c.missing = append(c.missing, fmt.Sprintf(format, args...))
}

// json writes an entry of a value.
func (c *collection) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return c.file.add(name, append(data, '\n'), true)
}

func (c *collection) versions(context.Context) error {
	out := map[string]string{"sealift": buildinfo.Version(), "collected": time.Now().UTC().Format(time.RFC3339)}
	if c.VCenter != nil {
		out["vcenter"] = c.VCenter.About().Name
	}
	return c.json("versions.json", out)
}

func (c *collection) status(ctx context.Context) error {
	r, err := status.Look(ctx, status.Options{Site: c.Site, Dir: c.Dir, Registry: c.Registry, RegistryErr: c.RegistryErr, VCenter: c.VCenter, VCenterErr: c.VCenterErr})
	if err != nil {
		return err
	}
	return c.json("status.json", r)
}

// preflight looks at the site again. Addresses that the cluster uses fail
// there, and should.
func (c *collection) preflight(ctx context.Context) error {
	answers := c.Logins
	prompt := func(what string) (site.Login, error) {
		i := 0
		if !strings.HasPrefix(what, "vCenter") {
			i = 1
		}
		if i >= len(answers) {
			return site.Login{}, site.ErrNoCredentials
		}
		return answers[i], nil
	}
	r, err := preflight.Run(ctx, c.Site, preflight.Options{Dir: c.Dir, Login: site.LoginOptions{Prompt: prompt}})
	if err != nil {
		return err
	}
	return c.json("preflight.json", r)
}

// site writes the site, in which no secret stands.
func (c *collection) site(context.Context) error { return c.json("site.json", c.Site) }
