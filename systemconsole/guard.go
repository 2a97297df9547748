package systemconsole

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// sessionCookie holds the secret of a session. The prefix makes browsers insist
// on TLS, this host and every path.
const sessionCookie = "__Host-session"

// tenantCookie is the same for the session of a tenant's user.
const tenantCookie = "__Host-tenant"

// liveHeader is on the requests that console.js makes for live parts of a page,
// liveParameter on those that a page without JavaScript makes for itself: nobody
// has to be there for them.
const (
	liveHeader    = "Sealift-Live"
	liveParameter = "live"
)

func live(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.Header.Get(liveHeader) != "" || r.URL.Query().Has(liveParameter))
}

// reloadOf is where a page loads itself anew: without the notice of what was
// done before.
func reloadOf(u *url.URL) string {
	query := u.Query()
	query.Del(noticeParameter)
	query.Set(liveParameter, "1")
	return (&url.URL{Path: u.Path, RawQuery: query.Encode()}).String()
}

// defaultBody is the most bytes of a request's body.
const defaultBody = 1 << 20

// chain surrounds the routes with what holds for every request.
func (s *Server) chain(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, errCrossOrigin)
	}))
	return s.numbered(drained(secured(guard.Handler(next))))
}

// unreadBody is the most bytes of a body that are read for nobody; as many as
// net/http reads over HTTP/1.
const unreadBody = 256 << 10

// drained reads what is left of a small body before the answer ends. Over HTTP/2
// net/http resets a stream that ends earlier (RFC 9113, section 8.1), and
// curl 7.88 takes that for a failure, whatever was answered.
func drained(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		next.ServeHTTP(w, r)
		if r.ProtoMajor == 2 && r.ContentLength <= unreadBody {
			_, _ = io.CopyN(io.Discard, body, unreadBody) // what breaks off has its answer all the same
		}
	})
}

// guard lets through to a route who may use it.
func (s *Server) guard(rt route) http.Handler {
	limit := rt.maxBody
	if limit == 0 {
		limit = defaultBody
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		r, err := s.admit(r, rt.access)
		if err == nil && rt.long {
			err = extend(w, longTime)
		}
		if err == nil {
			err = rt.handler(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// admit finds out who makes a request and whether the route is for them. The
// request that it returns knows it.
func (s *Server) admit(r *http.Request, a access) (*http.Request, error) {
	actor := audit.Actor{Name: "nobody", Via: "page", Source: source(r)}
	if a.token {
		actor.Via = "api"
	}
	r = r.WithContext(audit.WithActor(r.Context(), actor))
	id, purpose, err := s.identify(r, a)
	if err != nil && !errors.Is(err, auth.ErrNoSession) {
		return r, err
	}
	if err == nil {
		actor.Name = id.Account
		r = r.WithContext(audit.WithActor(auth.WithIdentity(r.Context(), id), actor))
	}
	switch {
	case a.public:
		return r, readForm(r)
	case err != nil:
		return r, err
	case a.token:
		return r, needs(id, a)
	case !a.opens(purpose):
		return r, stepError{purpose, id.Tenant}
	case purpose.OfTenant():
		if r, id, err = s.admitMember(r, id); err != nil {
			return r, err
		}
	}
	if err := needs(id, a); err != nil {
		return r, err
	}
	if a.streams {
		return r, nil
	}
	return r, checkForm(r, id)
}

// visitKey is the key of the tenant's user who makes a request.
type visitKey struct{}

// visitOf returns who of a tenant makes a request; the zero value is nobody.
func visitOf(r *http.Request) tenant.Visit {
	v, _ := r.Context().Value(visitKey{}).(tenant.Visit) // nobody when there is none
	return v
}

// admitMember finds out who of a tenant it is that has a session.
func (s *Server) admitMember(r *http.Request, id auth.Identity) (*http.Request, auth.Identity, error) {
	id, visit, err := s.tenants.Admit(r.Context(), id)
	if err != nil {
		return r, id, err
	}
	ctx := context.WithValue(auth.WithIdentity(r.Context(), id), visitKey{}, visit)
	return r.WithContext(ctx), id, nil
}

func needs(id auth.Identity, a access) error {
	if a.needs != "" && !id.May(a.needs) {
		return auth.ErrForbidden
	}
	return nil
}

// identify finds who makes a request by what the route asks for: a token, the
// session of an account, or that of a tenant's user.
func (s *Server) identify(r *http.Request, a access) (auth.Identity, auth.Purpose, error) {
	if a.token {
		text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return auth.Identity{}, "", auth.ErrNoSession
		}
		id, err := s.auth.IdentifyToken(r.Context(), text)
		return id, auth.Full, err
	}
	name := sessionCookie
	if a.purpose.OfTenant() {
		name = tenantCookie
	}
	c, err := r.Cookie(name)
	if err != nil {
		return auth.Identity{}, "", auth.ErrNoSession
	}
	identify := s.auth.Identify
	if live(r) {
		identify = s.auth.Watch
	}
	id, purpose, err := identify(r.Context(), c.Value)
	switch {
	case err != nil:
		return id, purpose, err
	case purpose.OfTenant() != (name == tenantCookie):
		return auth.Identity{}, "", auth.ErrNoSession // one in the other's place
	case purpose.OfTenant() && (id.Tenant == "" || id.Tenant != r.PathValue("tenant")):
		return auth.Identity{}, "", auth.ErrNoSession // another tenant's
	}
	return id, purpose, nil
}

// readForm reads the form of a request that changes something.
func readForm(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	return nil
}

// FormTokenField is the hidden field of every form; scripts may send the token
// as a header of the name FormTokenHeader.
const (
	FormTokenField  = "form-token"
	FormTokenHeader = "X-Form-Token"
)

// checkForm fails for a change that no form of the session asked for.
func checkForm(r *http.Request, id auth.Identity) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := readForm(r); err != nil {
		return err
	}
	token := r.Header.Get(FormTokenHeader)
	if token == "" {
		token = r.PostForm.Get(FormTokenField)
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(id.FormToken)) != 1 {
		return errStaleForm
	}
	return nil
}

// secured sets the headers that every answer has.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "+
			"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// source is the address that a request comes from.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func client(r *http.Request) auth.Client {
	return auth.Client{Source: source(r), Agent: r.UserAgent()}
}

// setSession gives the browser the secret of a session.
func setSession(w http.ResponseWriter, cookie string, l auth.Login) {
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: l.Secret, Path: "/", Expires: l.Expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func dropSession(w http.ResponseWriter, cookie string) {
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// local returns where to go after a login: next when it is a path of this
// site, else the first page.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || len(u.Path) == 0 || u.Path[0] != '/' {
		return "/"
	}
	// Browsers take a backslash for a slash, and two slashes for a host.
	if len(u.Path) > 1 && (u.Path[1] == '/' || u.Path[1] == '\\') {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// see sends the browser to another page after a form was taken.
func see(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}
