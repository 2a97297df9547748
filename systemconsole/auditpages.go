package systemconsole

import (
	"errors"
	"net/http"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/web"
)

func (s *Server) auditPage(w http.ResponseWriter, r *http.Request) error {
	return s.showAudit(w, r, nil, nil)
}

// showAudit shows a page of the record, with what a check of it found.
func (s *Server) showAudit(w http.ResponseWriter, r *http.Request, found *audit.Summary, problems form.Problems) error {
	before, err := beforeOf(r)
	if err != nil {
		return err
	}
	records, err := s.audit.Newest(r.Context(), before, rowsPerPage)
	if err != nil {
		return err
	}
	p := web.AuditPage{Frame: s.frame(r, "Audit", "audit"), Records: records, Summary: found}
	p.Problems = problems
	if len(records) > 0 && records[len(records)-1].Number > 1 {
		p.Before = records[len(records)-1].Number
	}
	return s.web.Render(w, http.StatusOK, p)
}

func (s *Server) verifyAudit(w http.ResponseWriter, r *http.Request) error {
	found, err := s.audit.Verify(r.Context(), "")
	if errors.Is(err, audit.ErrBroken) {
		s.log.ErrorContext(r.Context(), "the audit record is broken", "error", err)
		return s.showAudit(w, r, nil, problemsOf(form.Fail("", "%v", err)))
	}
	if err != nil {
		return err
	}
	return s.showAudit(w, r, &found, nil)
}
