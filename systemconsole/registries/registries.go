// Package registries knows the site's registries: where they are, whether they
// answer, what they hold, and how a bundle that was uploaded gets into one.
//
// A registry is of one type: oci (images and artifacts), helm (a chart
// repository behind an index.yaml) or packs (an OCI registry that holds packs).
// Its password is kept wrapped by the console's master key.
package registries

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// Kind is the kind of the objects that registries are.
const Kind = "Registry"

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: Kind, Value: Registry{}}} }

// Type is what a registry holds.
type Type string

// The types.
const (
	OCI   Type = "oci"
	Helm  Type = "helm"
	Packs Type = "packs"
)

// Title is what pages call the type.
func (t Type) Title() string {
	switch t {
	case Helm:
		return "Helm"
	case Packs:
		return "Packs"
	default:
		return "OCI"
	}
}

// Registry is one of the site's registries.
type Registry struct {
	Type     Type   `json:"type"`
	Endpoint string `json:"endpoint"` // HOST[:PORT], or for helm the URL of the repository
	Prefix   string `json:"prefix,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"` // wrapped
	CA       string `json:"ca,omitempty"`       // PEM, trusted besides the system's
	Key      string `json:"key,omitempty"`      // PEM of the key that bundles for it are signed with

	Checked time.Time `json:"checked,omitzero"` // when it was last validated
	Failure string    `json:"failure,omitempty"`
	Found   string    `json:"found,omitempty"` // what was seen when it last answered
	Push    *LastPush `json:"push,omitempty"`
}

// LastPush is what was last brought into a registry.
type LastPush struct {
	Bundle  string    `json:"bundle"`
	Version string    `json:"version"`
	When    time.Time `json:"when"`
	Images  int       `json:"images"`
	Bytes   int64     `json:"bytes"` // that had to be sent
}

// Audit is what the record of changes shows.
func (r Registry) Audit() any {
	return struct {
		Type     Type   `json:"type"`
		Endpoint string `json:"endpoint"`
		Prefix   string `json:"prefix,omitempty"`
		Username string `json:"username,omitempty"`
	}{r.Type, r.Endpoint, r.Prefix, r.Username}
}

// Draft is a registry as it is entered.
type Draft struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Endpoint string `json:"endpoint"`
	Prefix   string `json:"prefix,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	CA       string `json:"ca,omitempty"`  // PEM
	Key      string `json:"key,omitempty"` // PEM of the key that bundles are signed with
}

// Service is the registries in a store.
type Service struct {
	registries store.Collection[Registry]
	log        *audit.Log
	keeper     seal.Keeper
	opts       Options
}

// Options complete a service. The zero value is usable.
type Options struct {
	// Proxy chooses the proxy of a request; nil means as the environment says.
	Proxy func(*http.Request) (*url.URL, error)
}

// New returns the registries in a store.
func New(s store.Store, log *audit.Log, keeper seal.Keeper, opts Options) *Service {
	return &Service{registries: store.Collection[Registry]{Store: s, Kind: Kind, Table: &store.Table[Registry]{}}, log: log, keeper: keeper, opts: opts}
}

// List returns all registries by name.
func (s *Service) List(ctx context.Context) ([]store.Item[Registry], error) {
	var out []store.Item[Registry]
	err := s.registries.Select(ctx, "", func(item *store.Item[Registry]) { out = append(out, *item) })
	return out, err
}

// Follow keeps in memory what pages list, until ctx is done.
func (s *Service) Follow(ctx context.Context, report func(kind string, err error)) {
	s.registries.Follow(ctx, report)
}

// Get returns a registry.
func (s *Service) Get(ctx context.Context, name string) (store.Item[Registry], error) {
	return s.registries.Get(ctx, name)
}

// Add keeps a registry. It fails with form.Problems for what is wrong with the
// draft; whether the registry answers is Validate's to say.
func (s *Service) Add(ctx context.Context, d Draft) error {
	if err := d.check(); err != nil {
		return err
	}
	r := Registry{Type: d.Type, Endpoint: d.Endpoint, Prefix: strings.Trim(d.Prefix, "/"), Username: d.Username, CA: d.CA, Key: d.Key}
	if d.Password != "" {
		var err error
		if r.Password, err = s.keeper.Wrap(ctx, []byte(d.Password), owner(d.Name)); err != nil {
			return fmt.Errorf("sealing the password of registry %s: %w", d.Name, err)
		}
	}
	_, err := audit.Create(ctx, s.log, s.registries, store.Item[Registry]{Name: d.Name, Value: r}, "registry.add")
	if errors.Is(err, store.ErrExists) {
		return form.Fail("name", "there is a registry of this name already")
	}
	return err
}

func owner(name string) string { return "registry." + name }

func (d Draft) check() error {
	var p form.Problems
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$`).MatchString(d.Name) {
		p.Add("name", "use lower-case letters, digits and hyphens")
	}
	if !slices.Contains([]Type{OCI, Helm, Packs}, d.Type) {
		p.Add("type", "choose what the registry holds")
	}
	if d.Type == Helm {
		if u, err := url.Parse(d.Endpoint); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			p.Add("endpoint", "enter the https:// address of the chart repository")
		}
	} else if !regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?$`).MatchString(d.Endpoint) {
		p.Add("endpoint", "enter HOST or HOST:PORT, without https:// and path")
	}
	if _, err := mirror.ParseMapping(strings.Trim(d.Prefix, "/"), nil); err != nil {
		p.Add("prefix", "%s", err)
	}
	if (d.Username == "") != (d.Password == "") {
		p.Add("username", "give both user name and password, or neither")
	}
	d.checkTexts(&p)
	return p.Err()
}

// checkTexts refuses what would be of no use later, and above all private keys:
// neither text is sealed.
func (d Draft) checkTexts(p *form.Problems) {
	if d.CA != "" && (strings.Contains(d.CA, "PRIVATE KEY") || !x509.NewCertPool().AppendCertsFromPEM([]byte(d.CA))) {
		p.Add("ca", "this is no certificate in PEM: give that of the authority, without any key")
	}
	if d.Key == "" {
		return
	}
	if _, err := sign.ParseVerifier("the key", []byte(d.Key)); err != nil {
		p.Add("key", "%s", strings.Join(append([]string{err.Error()}, problem.Remedies(err)...), ": "))
	}
}

// Remove forgets a registry. What it holds stays there.
func (s *Service) Remove(ctx context.Context, name string) error {
	item, err := s.registries.Get(ctx, name)
	if err != nil {
		return err
	}
	return audit.Delete(ctx, s.log, s.registries, item, "registry.remove")
}

// client reaches a registry with its own credentials and authorities.
func (s *Service) client(ctx context.Context, item store.Item[Registry]) (*registry.Client, error) {
	r := item.Value
	opts := registry.Options{Host: host(r), MaxAttempts: 2, Username: r.Username, Proxy: s.opts.Proxy}
	if r.Password != "" {
		password, err := s.keeper.Unwrap(ctx, r.Password, owner(item.Name))
		if err != nil {
			return nil, fmt.Errorf("opening the password of registry %s: %w", item.Name, err)
		}
		opts.Password = string(password)
	}
	if r.CA != "" {
		file, err := temporary(r.CA)
		if err != nil {
			return nil, err
		}
		defer os.Remove(file) //nolint:errcheck // a leftover holds nothing secret
		opts.CAFile = file
	}
	return registry.NewClient(opts)
}

func host(r Registry) string {
	if u, err := url.Parse(r.Endpoint); err == nil && u.Scheme == "https" {
		return u.Host
	}
	return r.Endpoint
}

// temporary writes a text to a file, for libraries that read files only.
func temporary(text string) (string, error) {
	f, err := os.CreateTemp("", "sealift-*.pem")
	if err != nil {
		return "", fmt.Errorf("writing a certificate for its reader: %w", err)
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Close())
}

// Validate asks the registry, and keeps and returns what came of it.
func (s *Service) Validate(ctx context.Context, name string) (store.Item[Registry], error) {
	item, err := s.registries.Get(ctx, name)
	if err != nil {
		return item, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found, failure := s.probe(ctx, item)
	return s.registries.Modify(context.WithoutCancel(ctx), name, func(r *Registry) error {
		r.Checked, r.Found, r.Failure = time.Now().UTC(), found, ""
		if failure != nil {
			r.Failure = failure.Error()
			for _, remedy := range problem.Remedies(failure) {
				r.Failure += "; " + remedy
			}
		}
		return nil
	})
}

// maxListed is the most repositories, tags and charts that are looked at.
const maxListed = 500

func (s *Service) probe(ctx context.Context, item store.Item[Registry]) (string, error) {
	if item.Value.Type == Helm {
		charts, err := s.charts(ctx, item)
		return fmt.Sprintf("%d charts", len(charts)), err
	}
	repositories, err := s.repositories(ctx, item)
	if malformed := (*json.SyntaxError)(nil); errors.As(err, &malformed) {
		err = problem.New(problem.Failed, "check the address", "%s answers, but not as a registry does", item.Value.Endpoint)
	}
	return fmt.Sprintf("%d repositories", len(repositories)), err
}
