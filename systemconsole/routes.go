package systemconsole

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// handler answers one route. An error that it returns becomes a page or an
// answer of the API in Server.fail; it must not have written anything then.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one line of the table.
type route struct {
	pattern string // as http.ServeMux has it: "GET /tenants/{id}"
	access  access
	handler handler
	maxBody int64      // bytes; 0 means defaultBody
	long    bool       // its answer may take longTime
	op      *operation // what the document of the API says; nil for a page
}

// long gives a route longTime for its answer.
func long(r route) route {
	r.long = true
	return r
}

// access is who may use a route. The zero value lets nobody in.
type access struct {
	public  bool
	token   bool // with a token, not with a session
	purpose auth.Purpose
	needs   auth.Permission
	// streams tells that the handler reads the body as it arrives and checks the
	// form's token itself.
	streams bool
}

// opens tells whether a session is for a route: whoever is logged in may do,
// too, what a session for a new password is for.
func (a access) opens(p auth.Purpose) bool {
	return a.purpose == p || a.purpose == auth.ChangePassword && p == auth.Full || a.purpose == auth.TenantPassword && p == auth.TenantUser
}

// streamed leaves reading the form to the handler.
func streamed(a access) access {
	a.streams = true
	return a
}

// public lets everybody in.
func public() access { return access{public: true} }

// step lets in whose session is for one step of a login.
func step(p auth.Purpose) access { return access{purpose: p} }

// may lets in who has a permission.
func may(p auth.Permission) access { return access{purpose: auth.Full, needs: p} }

// member lets in the users of the tenant in the path, with their own session.
func member() access { return access{purpose: auth.TenantUser} }

// memberStep lets them in while the password has to be changed, too.
func memberStep() access { return access{purpose: auth.TenantPassword} }

// administers lets in the administrators of the tenant in the path.
func administers() access { return access{purpose: auth.TenantUser, needs: tenant.ManageUsers} }

// token lets in programs whose token has a permission.
func token(p auth.Permission) access { return access{token: true, needs: p} }

// routes is everything that can be asked for.
func (s *Server) routes() []route {
	return slices.Concat(
		s.entryRoutes(),
		s.accountRoutes(),
		s.tenantRoutes(),
		s.tenantSiteRoutes(),
		s.auditRoutes(),
		s.clusterRoutes(),
		s.registryRoutes(),
		s.administrationRoutes(),
		s.apiRoutes(),
		s.tenantCalls(),
		s.accountCalls(),
		s.registryCalls(),
		s.settingsRoutes(),
		s.operationRoutes(),
	)
}

// entryRoutes are those of logging in and out.
func (s *Server) entryRoutes() []route {
	return []route{
		{pattern: "GET /{$}", access: may(auth.Self), handler: s.summary},
		{pattern: "GET /login", access: public(), handler: s.loginForm},
		{pattern: "POST /login", access: public(), handler: s.login},
		{pattern: "POST /logout", access: public(), handler: s.logout},
		{pattern: "GET /forgot", access: public(), handler: s.forgotForm},
		{pattern: "POST /forgot", access: public(), handler: s.forgot},
		{pattern: "GET /password", access: step(auth.ChangePassword), handler: s.passwordForm},
		{pattern: "POST /password", access: step(auth.ChangePassword), handler: s.password},
		{pattern: "GET /second-factor", access: step(auth.SecondFactor), handler: s.secondFactorForm},
		{pattern: "POST /second-factor", access: step(auth.SecondFactor), handler: s.secondFactor},
		{pattern: "GET /link/{secret}", access: public(), handler: s.linkForm},
		{pattern: "POST /link/{secret}", access: public(), handler: s.link},
		{pattern: "POST /theme", access: public(), handler: s.setTheme},
		{pattern: "GET /assets/{file...}", access: public(), handler: s.asset},
		{pattern: "/", access: public(), handler: s.unknown},
	}
}

// pageOf is the address that shows the page of a request again. A form is sent to
// an address that cannot be looked at: then it is the nearest one above it.
func (s *Server) pageOf(r *http.Request) string {
	if r.Method == http.MethodGet {
		query := r.URL.Query()
		query.Del(noticeParameter)
		query.Del(liveParameter)
		return (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String()
	}
	for at := r.URL.Path; at != "/" && at != "."; at = path.Dir(at) {
		look := &http.Request{Method: http.MethodGet, Host: r.Host, URL: &url.URL{Path: at}}
		if _, pattern := s.routed.Handler(look); strings.HasPrefix(pattern, http.MethodGet+" ") {
			return (&url.URL{Path: at}).String()
		}
	}
	return "/"
}

// mux makes the table work.
func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.measured(r.pattern, s.guard(r)))
	}
	return mux
}
