package settings

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/http/httpproxy"

	"github.com/sealift/sealift/systemconsole/form"
)

// Proxy is the way to what the console calls: registries and S3. The zero
// value means the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
type Proxy struct {
	HTTP     string `json:"http,omitempty"`    // http://HOST:PORT, for addresses with http://
	HTTPS    string `json:"https,omitempty"`   // the same, for addresses with https://
	None     string `json:"noProxy,omitempty"` // hosts, .domains and networks that are reached directly, with commas
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"` // wrapped
}

// proxyPlace is what the password of the proxy is sealed for.
const proxyPlace = "settings.proxy"

func (p Proxy) check() form.Problems {
	var problems form.Problems
	for field, text := range map[string]string{"http": p.HTTP, "https": p.HTTPS} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
			problems.Add(field, "enter an address such as http://proxy.north.example:3128, without user and path")
		}
	}
	if p.Username != "" && p.HTTP == "" && p.HTTPS == "" {
		problems.Add("username", "a user needs a proxy")
	}
	if strings.ContainsAny(p.None+p.Username, "\r\n") || len(p.None) > 4096 {
		problems.Add("noProxy", "use one line of hosts with commas")
	}
	return problems
}

// SetProxy keeps the way to what the console calls.
func (s *Service) SetProxy(ctx context.Context, p Proxy) error {
	current, err := s.Get(ctx)
	if err != nil {
		return err
	}
	problems := p.check()
	if p.Username == "" {
		p.Password = ""
	} else {
		old := current.Proxy
		same := p.HTTP == old.HTTP && p.HTTPS == old.HTTPS && p.Username == old.Username
		p.Password, err = s.sealed(ctx, p.Password, old.Password, proxyPlace, same)
		if p.Password == "" && err == nil {
			problems.Add("password", "enter the password of %s at this proxy", p.Username)
		}
	}
	if err := errors.Join(problems.Err(), err); err != nil {
		return err
	}
	return s.change(ctx, "settings.proxy", func(to *Settings) error { to.Proxy = p; return nil })
}

// proxyCache is what was made of the settings of a proxy.
type proxyCache struct {
	mu   sync.Mutex
	of   Proxy
	next func(*url.URL) (*url.URL, error)
}

// Proxy returns the proxy for a request as the settings of now have it, for
// http.Transport.
func (s *Service) Proxy(r *http.Request) (*url.URL, error) {
	current, err := s.Get(r.Context())
	if err != nil {
		return nil, err
	}
	p := current.Proxy
	if p == (Proxy{}) {
		return http.ProxyFromEnvironment(r)
	}
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	if s.proxy.next == nil || s.proxy.of != p {
		next, err := s.proxyFunc(r.Context(), p)
		if err != nil {
			return nil, err
		}
		s.proxy.of, s.proxy.next = p, next
	}
	return s.proxy.next(r.URL)
}

// proxyFunc makes what chooses the proxy of an address. The user goes to the
// proxy alone.
func (s *Service) proxyFunc(ctx context.Context, p Proxy) (func(*url.URL) (*url.URL, error), error) {
	password, err := s.opened(ctx, p.Password, proxyPlace)
	if err != nil {
		return nil, err
	}
	config := httpproxy.Config{NoProxy: p.None}
	for text, to := range map[*string]*string{&p.HTTP: &config.HTTPProxy, &p.HTTPS: &config.HTTPSProxy} {
		if *text == "" {
			continue
		}
		u, err := url.Parse(*text)
		if err != nil {
			return nil, errors.New("reading the address of the proxy: it is none")
		}
		if p.Username != "" {
			u.User = url.UserPassword(p.Username, password)
		}
		*to = u.String()
	}
	return config.ProxyFunc(), nil
}
