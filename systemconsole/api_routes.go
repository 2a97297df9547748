package systemconsole

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
)

// Identity is who a token acts for.
type Identity struct {
	Account     string            `json:"account"`
	Role        auth.Role         `json:"role"`
	Permissions []auth.Permission `json:"permissions,omitempty"`
}

// Link is an address with which somebody sets a password, once. It is either
// mailed or shown.
type Link struct {
	URL     string    `json:"url,omitempty"`     // empty when it was mailed
	SentTo  string    `json:"sentTo,omitempty"`  // address that it was mailed to
	Failure string    `json:"failure,omitempty"` // why it could not be mailed
	Expires time.Time `json:"expires"`
}

// AuditList is a part of the record of changes, the newest first.
type AuditList struct {
	Records []audit.Record `json:"records"`
}

// apiRoutes are those for programs.
func (s *Server) apiRoutes() []route {
	return []route{
		call("GET /me", auth.Self, "Who the token acts for", s.apiMe),
		call("POST /master-key/rotate", auth.WriteSettings, "Make another master key, and wrap everything with it", s.apiRotateMasterKey),
		call("GET /audit", auth.ReadAudit, "List changes, the newest first", s.apiAudit,
			parameter{"before", "integer", "number of a record: show those before it"}, parameter{"limit", "integer", "most records, at most 500"}),
		call("GET /audit/verify", auth.ReadAudit, "Check that no record was altered", s.apiVerify,
			parameter{"known", "string", "hash that was noted before; it must still be there"}),
		{pattern: "GET " + apiPrefix + "/audit.csv", access: token(auth.ReadAudit), handler: s.auditCSV,
			op: &operation{summary: "The whole record of changes as CSV", content: "text/csv", in: nothing{}}},
		{pattern: "GET " + apiPrefix + "/openapi.json", access: public(), handler: s.openAPI,
			op: &operation{summary: "This document", in: nothing{}, out: map[string]any{}, content: "application/json"}},
	}
}

func (s *Server) apiMe(r *http.Request, _ nothing) (Identity, error) {
	id := auth.IdentityOf(r.Context())
	return Identity{Account: id.Account, Role: id.Role, Permissions: id.Permissions}, nil
}

// linkTo is the address of a link.
func (s *Server) linkTo(r *http.Request, secret string) Link {
	u := url.URL{Scheme: "https", Host: r.Host}
	if s.url != nil {
		u = *s.url
	}
	return Link{URL: u.JoinPath("link", secret).String(), Expires: s.now().Add(auth.LinkLife)}
}

func (s *Server) now() time.Time {
	if s.opts.Now != nil {
		return s.opts.Now().UTC()
	}
	return time.Now().UTC()
}

func (s *Server) apiAudit(r *http.Request, _ nothing) (AuditList, error) {
	list := AuditList{Records: []audit.Record{}}
	opts, err := listOptions(r)
	if err != nil {
		return list, err
	}
	before, err := beforeOf(r)
	if err != nil {
		return list, err
	}
	list.Records, err = s.audit.Newest(r.Context(), before, opts.PageSize())
	return list, err
}

// beforeOf reads the parameter of a listing of the record.
func beforeOf(r *http.Request) (uint64, error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, form.Fail("before", "enter the number of a record")
	}
	return n, nil
}

func (s *Server) apiVerify(r *http.Request, _ nothing) (audit.Summary, error) {
	return s.audit.Verify(r.Context(), r.URL.Query().Get("known"))
}

// auditCSV sends the whole record.
func (s *Server) auditCSV(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="audit.csv"`)
	if err := s.audit.WriteCSV(r.Context(), steady{w}); err != nil {
		// The answer has begun: a file that ends short must not look whole.
		s.log.ErrorContext(r.Context(), "exporting the audit record failed", "request", numberOf(r), "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
