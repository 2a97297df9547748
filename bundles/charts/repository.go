package charts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/provenance"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// Downloader reads small files of web servers.
type Downloader interface {
	// Download returns what lies at a URL. It fails with content.ErrNotFound
	// when there is nothing, and with content.ErrTooLarge for more than limit bytes.
	Download(ctx context.Context, url string, limit int64) ([]byte, error)
}

const (
	maxIndex      = 100 << 20
	maxProvenance = 1 << 20
)

// Repositories reads charts of classic repositories: web servers with an
// index.yaml. Each index is read once. It is safe for many goroutines.
type Repositories struct {
	web     Downloader
	mu      sync.Mutex
	indexes map[string]func() (*index, error)
}

// NewRepositories returns repositories that are reached by web.
func NewRepositories(web Downloader) *Repositories {
	return &Repositories{web: web, indexes: map[string]func() (*index, error){}}
}

// Chart downloads the newest version of a chart within a range, with its
// provenance if there is one.
func (r *Repositories) Chart(ctx context.Context, repository, name, version string) (*Chart, error) {
	all, err := r.index(ctx, repository)
	if err != nil {
		return nil, err
	}
	entry, err := all.get(name, version)
	if err != nil {
		return nil, noSuchChart(all, repository, name, version, err)
	}
	if len(entry.URLs) == 0 {
		return nil, fmt.Errorf("chart %s %s of %s has no URL in the index: %w", name, entry.Version, repository, ErrChart)
	}
	from, err := resolveURL(repository, entry.URLs[0])
	if err != nil {
		return nil, err
	}
	data, err := r.web.Download(ctx, from, MaxArchive)
	if err != nil {
		return nil, fmt.Errorf("downloading chart %s %s: %w", name, entry.Version, err)
	}
	if want := strings.TrimPrefix(entry.Digest, "sha256:"); want != "" && want != SHA256(data) {
		return nil, fmt.Errorf("chart %s %s at %s has the SHA-256 %s, the index says %s: %w", name, entry.Version, from, SHA256(data), want, content.ErrMismatch)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s at %s: %w", name, entry.Version, from, err)
	}
	if c.Name() != name || c.Version() != entry.Version {
		return nil, fmt.Errorf("%s holds %s %s, the index calls it %s %s: %w", from, c.Name(), c.Version(), name, entry.Version, ErrChart)
	}
	c.Provenance, err = r.web.Download(ctx, from+".prov", maxProvenance)
	if errors.Is(err, content.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		// Taking a broken line for "there is none" would let a signature go missing.
		return nil, fmt.Errorf("downloading the provenance of chart %s %s: %w", name, entry.Version, err)
	}
	return c, nil
}

// SHA256 returns the SHA-256 of data in hexadecimal.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (r *Repositories) index(ctx context.Context, repository string) (*index, error) {
	r.mu.Lock()
	once, ok := r.indexes[repository]
	if !ok {
		once = sync.OnceValues(func() (*index, error) {
			data, err := r.web.Download(ctx, strings.TrimSuffix(repository, "/")+"/index.yaml", maxIndex)
			if err == nil {
				var found *index
				if found, err = parseIndex(data); err == nil {
					return found, nil
				}
			}
			return nil, problem.WithRemedy(fmt.Errorf("reading the index of the chart repository %s: %w", repository, err),
				"repo: is the URL of the folder that index.yaml lies in")
		})
		r.indexes[repository] = once
	}
	r.mu.Unlock()
	return once()
}

// index is what is needed of an index.yaml. (Helm's own type brings Kubernetes'
// whole client along.) Source: Helm, "The Chart Repository Guide".
type index struct {
	APIVersion string              `json:"apiVersion"`
	Entries    map[string][]*entry `json:"entries"`
}

// entry is one version of a chart.
type entry struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	URLs    []string `json:"urls"`
	Digest  string   `json:"digest"` // SHA-256 in hexadecimal, or ""

	semver *semver.Version // nil when Version has no such form
}

func parseIndex(data []byte) (*index, error) {
	out := new(index)
	var err error
	if json.Valid(data) { // many times faster than YAML
		err = json.Unmarshal(data, out)
	} else {
		err = yaml.Unmarshal(data, out)
	}
	if err != nil {
		return nil, err
	}
	if out.APIVersion == "" {
		return nil, errors.New("it has no apiVersion: it is no index of charts")
	}
	for name, versions := range out.Entries {
		versions = slices.DeleteFunc(versions, func(e *entry) bool { return e == nil })
		for _, e := range versions {
			e.semver, _ = semver.NewVersion(e.Version) // other forms come last
		}
		slices.SortStableFunc(versions, newestFirst)
		out.Entries[name] = versions
	}
	return out, nil
}

func newestFirst(a, b *entry) int {
	switch {
	case a.semver == nil || b.semver == nil:
		return cmp.Compare(btoi(a.semver == nil), btoi(b.semver == nil))
	default:
		return b.semver.Compare(a.semver)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// get returns the version of a chart that is asked for, or the newest in a range.
func (i *index) get(name, version string) (*entry, error) {
	for _, e := range i.Entries[name] {
		if e.Version == version {
			return e, nil
		}
	}
	within, err := semver.NewConstraint(version)
	if err != nil {
		return nil, err
	}
	for _, e := range i.Entries[name] {
		if e.semver != nil && within.Check(e.semver) {
			return e, nil
		}
	}
	return nil, content.ErrNotFound
}

// noSuchChart says which versions there are.
func noSuchChart(all *index, repository, name, version string, err error) error {
	versions := all.Entries[name]
	if len(versions) == 0 {
		return fmt.Errorf("the chart repository %s has no chart %s: %w", repository, name, errors.Join(content.ErrNotFound, err))
	}
	const shown = 8
	var have []string
	for _, v := range versions[:min(len(versions), shown)] {
		have = append(have, v.Version)
	}
	return fmt.Errorf("the chart repository %s has no version %s of %s; the newest are %s: %w", repository, version, name,
		strings.Join(have, ", "), errors.Join(content.ErrNotFound, err))
}

// resolveURL returns a URL of an index, which may be relative to the repository.
func resolveURL(repository, ref string) (string, error) {
	base, err := url.Parse(strings.TrimSuffix(repository, "/") + "/")
	if err != nil {
		return "", err
	}
	u, err := base.Parse(ref)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("the index of %s names the URL %q: %w", repository, ref, ErrChart)
	}
	if u.RawQuery == "" {
		u.RawQuery = base.RawQuery
	}
	return u.String(), nil
}

// ErrProvenance means: a chart's provenance is not good.
var ErrProvenance = errors.New("provenance not verified")

// VerifyProvenance checks that the chart is what its provenance file says, and
// that a key of the keyring, a file, signed that.
func (c *Chart) VerifyProvenance(keyring string) (err error) {
	defer func() {
		if err != nil {
			err = problem.New(problem.Verification, "get the chart and the keyring from their makers again, or leave out keyring: if the chart is not signed",
				"chart %s %s: %w: %w", c.Name(), c.Version(), ErrProvenance, err)
		}
	}()
	if c.Provenance == nil {
		return errors.New("it has no provenance file (.prov)")
	}
	signatory, err := provenance.NewFromKeyring(keyring, "")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sealift-chart-") // Helm's library reads files only
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	name := filepath.Join(dir, c.Name()+"-"+filepath.Base(c.Version())+".tgz")
	if err := errors.Join(os.WriteFile(name, c.Archive, 0o600), os.WriteFile(name+".prov", c.Provenance, 0o600)); err != nil {
		return err
	}
	_, err = signatory.Verify(name, name+".prov")
	return err
}

// IsChart tells whether a manifest's configuration is that of a chart.
func IsChart(m *content.Manifest) bool {
	return m.Config != nil && m.Config.MediaType == MediaTypeConfig
}

// Fetch reads the chart of a manifest from where its blobs are.
func Fetch(ctx context.Context, from content.Fetcher, m *content.Manifest) (*Chart, error) {
	if !IsChart(m) {
		return nil, fmt.Errorf("%w: the artifact is not one that helm push makes", ErrChart)
	}
	var archive, prov []byte
	var err error
	for _, l := range m.Layers {
		switch l.MediaType {
		case MediaTypeArchive:
			archive, err = content.ReadAll(ctx, from, l, MaxArchive)
		case MediaTypeProvenance:
			prov, err = content.ReadAll(ctx, from, l, maxProvenance)
		}
		if err != nil {
			return nil, err
		}
	}
	if archive == nil {
		return nil, fmt.Errorf("%w: the artifact has no archive (%s)", ErrChart, MediaTypeArchive)
	}
	c, err := Parse(archive)
	if err != nil {
		return nil, err
	}
	c.Provenance = prov
	return c, nil
}
