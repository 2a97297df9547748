package systemconsole

import (
	"net/http"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/web"
)

// installPage leads through the installation of the enterprise cluster.
func (s *Server) installPage(w http.ResponseWriter, r *http.Request) error {
	p := web.InstallPage{Frame: s.frame(r, "Enterprise cluster", "cluster"), May: mayChangeCluster(r)}
	i := s.opts.Installation
	if i == nil {
		return s.render(w, p)
	}
	p.Possible = true
	var err error
	if p.Progress, err = i.Progress(r.Context()); err != nil {
		return err
	}
	if p.Site, err = i.Site(r.Context()); err != nil {
		return err
	}
	if p.Progress.State == enterprise.Running {
		p.Reload = 3
	}
	return s.render(w, p)
}

// installCheck runs the preflight on the site that was entered.
func (s *Server) installCheck(w http.ResponseWriter, r *http.Request) error {
	if s.opts.Installation == nil {
		return errUnknown
	}
	p := web.InstallPage{Frame: s.frame(r, "Enterprise cluster", "cluster"), May: true, Possible: true, Site: r.PostFormValue("site")}
	checks, err := s.opts.Installation.Preflight(r.Context(), p.Site)
	if err != nil {
		return s.invalidSite(w, r, p, err)
	}
	p.Checks, p.Ready = checks, true
	if p.Checks == nil {
		p.Checks = []enterprise.Check{}
	}
	for _, c := range checks {
		if c.Status.State == enterprise.Bad {
			p.Ready = false
		}
	}
	return s.render(w, p)
}

// invalidSite says why a site can be neither checked nor installed, beside the
// installation that there is.
func (s *Server) invalidSite(w http.ResponseWriter, r *http.Request, p web.InstallPage, err error) error {
	var noProgress error
	if p.Progress, noProgress = s.opts.Installation.Progress(r.Context()); noProgress != nil {
		return noProgress
	}
	p.Problems = form.Problems{{Field: "site", Text: err.Error()}}
	for _, remedy := range problem.Remedies(err) {
		p.Problems.Add("", "%s", remedy)
	}
	return s.web.Render(w, http.StatusUnprocessableEntity, p)
}

// installStart begins the installation.
func (s *Server) installStart(w http.ResponseWriter, r *http.Request) error {
	if s.opts.Installation == nil {
		return errUnknown
	}
	site := r.PostFormValue("site")
	err := s.audit.Do(r.Context(), audit.Event{Action: "cluster.install", Object: "Cluster"}, func() error {
		return s.opts.Installation.Start(r.Context(), site)
	})
	if err != nil {
		p := web.InstallPage{Frame: s.frame(r, "Enterprise cluster", "cluster"), May: true, Possible: true, Site: site}
		return s.invalidSite(w, r, p, err)
	}
	return seeNotice(w, r, "/cluster", noticeInstalling)
}
