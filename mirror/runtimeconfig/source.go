package runtimeconfig

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

// source is a host and where the mirror has its repositories.
type source struct {
	host string // EveryHost for all that are not named
	// routes lead from a part of the host's repositories to a part of the
	// mirror's. The shortest path comes first; the longest that fits counts.
	routes []route
}

// route says that repositories below path are below target in the mirror.
type route struct {
	path, target string // "" is all repositories
	image        string // one that it concerns, if images are known
	unused       bool   // no image is known that needs it
}

// findSources returns the sources in the order of their hosts.
func findSources(runtime Runtime, m *mirror.Mapping, opts Options) ([]source, error) {
	hosts := slices.Clone(opts.Hosts)
	var names []reference.Named
	for _, image := range opts.Images {
		named, err := reference.ParseNormalizedNamed(image)
		if err != nil {
			return nil, problem.New(problem.Usage, "", "the image %q: %w", image, err)
		}
		names, hosts = append(names, named), append(hosts, reference.Domain(named))
	}
	if len(hosts) == 0 {
		hosts = defaultHosts(runtime, m)
	}
	hosts = slices.Compact(slices.Sorted(slices.Values(hosts)))
	var out []source
	var faults []error
	for _, host := range hosts {
		s, err := newSource(m, host)
		faults = append(faults, checkHost(runtime, host), err, s.use(m, names))
		out = append(out, s)
	}
	return out, errors.Join(faults...)
}

func defaultHosts(runtime Runtime, m *mirror.Mapping) []string {
	hosts := DefaultHosts()
	if runtime != CRIO {
		hosts = append(hosts, EveryHost)
	}
	for _, r := range m.Rules() {
		host, _, _ := strings.Cut(r.Source, "/")
		hosts = append(hosts, host)
	}
	return hosts
}

// checkHost refuses what no image's name begins with.
func checkHost(runtime Runtime, host string) error {
	if host == EveryHost {
		if runtime == CRIO {
			return problem.New(problem.Usage, "name each host", "CRI-O has no setting for every host")
		}
		return nil
	}
	named, err := reference.ParseNormalizedNamed(host + "/any/image")
	if err != nil || reference.Domain(named) != host {
		return problem.New(problem.Usage, "write it as at the beginning of an image's full name, such as docker.io or registry.site:5000", "%q is no host of images", host)
	}
	return nil
}

// newSource makes the routes of a host out of the rules that concern it.
func newSource(m *mirror.Mapping, host string) (source, error) {
	s := source{host: host, routes: []route{{target: m.Prefix()}}}
	if host == EveryHost {
		return s, nil
	}
	var faults []error
	for _, r := range slices.Backward(m.Rules()) { // the shortest first, and of two for one source the one that counts last
		target := join(m.Prefix(), r.Target)
		if r.Source == host {
			s.routes[0].target = target
			continue
		}
		path, ok := strings.CutPrefix(r.Source, host+"/")
		if !ok {
			continue
		}
		if _, err := reference.WithName(r.Source); err != nil {
			// No image has such a name, but the files would hold it.
			faults = append(faults, problem.New(problem.Usage, "write the source as at the beginning of an image's full name", "the source of the mapping %q: %w", r.Source+"="+r.Target, err))
			continue
		}
		s.routes = slices.DeleteFunc(s.routes, func(other route) bool { return other.path == path })
		if s.place(path) != target {
			s.routes = append(s.routes, route{path: path, target: target})
		}
	}
	return s, errors.Join(faults...)
}

// place returns the repository of the mirror that a path of the source leads to.
func (s *source) place(path string) string {
	r := s.route(path)
	return join(r.target, strings.TrimPrefix(path, r.path))
}

func (s *source) route(path string) *route {
	for i := len(s.routes) - 1; i > 0; i-- {
		if r := &s.routes[i]; path == r.path || strings.HasPrefix(path, r.path+"/") {
			return r
		}
	}
	return &s.routes[0]
}

// use marks the routes that images need and drops those that none does, if any
// image of the host is known. An image that the routes lead elsewhere than the
// mapping does is an error.
func (s *source) use(m *mirror.Mapping, names []reference.Named) error {
	known := false
	for _, named := range names {
		if reference.Domain(named) != s.host {
			continue
		}
		known = true
		path := reference.Path(named)
		r := s.route(path)
		r.image = cmp.Or(r.image, named.String())
		want, _, err := m.Repository(named.String())
		if err != nil {
			return err
		}
		if got := s.place(path); got != want {
			return problem.New(problem.Usage, "give that mapping a target", "a runtime would ask for %s at %q, but the mapping puts it at %q", named, got, want)
		}
	}
	if !known {
		return nil
	}
	s.routes[0].unused = s.routes[0].image == ""
	s.routes = slices.DeleteFunc(s.routes, func(r route) bool { return r.path != "" && r.image == "" })
	return nil
}

// elsewhere is the error for a route that a runtime cannot take; why says what
// the runtime can do.
func (s *source) elsewhere(r route, why string) error {
	what := fmt.Sprintf("the mapping %s/%s", s.host, r.path)
	if r.image != "" {
		what += ", which " + r.image + " needs,"
	}
	return problem.New(problem.Usage, "push with one mapping for the whole host, such as --prefix "+s.host+"=NAME", "%s cannot be written: %s", what, why)
}

func join(a, b string) string { return strings.Trim(a+"/"+strings.Trim(b, "/"), "/") }
