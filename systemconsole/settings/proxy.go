package settings

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

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

// Proxy returns the proxy for a request, for http.Transport: as this process
// set it, or as another one had a moment ago. To open its password may take a
// call of the key management service, which not every request makes.
func (s *Service) Proxy(r *http.Request) (*url.URL, error) {
	next, err := s.proxy.Get(r.Context())
	if err != nil {
		return nil, err // the last known may be the wrong way by now
	}
	return next(r.URL)
}

// findProxy makes what chooses the proxy of an address. The user goes to the
// proxy alone.
func (s *Service) findProxy(ctx context.Context) (proxyOf, error) {
	current, err := s.Get(ctx)
	if err != nil {
		return nil, err
	}
	p := current.Proxy
	if p == (Proxy{}) {
		return httpproxy.FromEnvironment().ProxyFunc(), nil
	}
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
