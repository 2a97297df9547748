package systemconsole

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/web"
)

// rowsPerPage is how many lines a list has.
const rowsPerPage = 50

func mayTenants(r *http.Request) bool { return auth.IdentityOf(r.Context()).May(auth.WriteTenants) }

// inTenants is the frame of a page below the list.
func (s *Server) inTenants(r *http.Request, title string) web.Frame {
	f := s.frame(r, title, "tenants")
	f.Crumbs = []web.Link{{Text: "Tenants", Path: "/tenants"}}
	return f
}

func (s *Server) tenantsPage(w http.ResponseWriter, r *http.Request) error {
	p := web.TenantsPage{Frame: s.frame(r, "Tenants", "tenants"), May: mayTenants(r), Filter: r.FormValue("filter")}
	found, err := s.tenants.Search(r.Context(), p.Filter)
	if err != nil {
		return err
	}
	p.Tenants, p.Pages = pageOf(found, r.FormValue("page"), rowsPerPage)
	p.Pages.Path, p.Pages.Query = "/tenants", url.Values{"filter": {p.Filter}}
	return s.render(w, p)
}

func (s *Server) newTenant(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, web.NewTenantPage{Frame: s.inTenants(r, "New tenant")})
}

func (s *Server) createTenant(w http.ResponseWriter, r *http.Request) error {
	d := tenant.Draft{Organization: r.PostForm.Get("organization"), FirstName: r.PostForm.Get("firstName"),
		LastName: r.PostForm.Get("lastName"), Email: r.PostForm.Get("email")}
	item, err := s.tenants.Create(r.Context(), d)
	if problems, ok := form.From(err); ok {
		p := web.NewTenantPage{Frame: s.inTenants(r, "New tenant"), Draft: d}
		p.Problems = problems
		return s.web.Render(w, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, tenantPath(item.Name), noticeTenantCreated)
}

func tenantPath(name string) string { return "/tenants/" + url.PathEscape(name) }

func (s *Server) tenantPage(w http.ResponseWriter, r *http.Request) error {
	return s.showTenant(w, r, nil, nil)
}

// showTenant shows a tenant with what was wrong with a form on its page.
func (s *Server) showTenant(w http.ResponseWriter, r *http.Request, entered *tenant.Limits, problems form.Problems) error {
	item, err := s.tenants.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	p := web.TenantPage{Frame: s.inTenants(r, item.Value.Organization), May: mayTenants(r), Tenant: item, Limits: item.Value.Limits}
	p.Problems = problems
	if entered != nil {
		p.Limits = *entered
	}
	first, err := s.tenants.FirstAdministrator(r.Context(), item)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	p.First = first.Person
	if usage, err := s.tenants.Usage(r.Context(), item); err != nil {
		p.Why = err.Error()
	} else {
		p.Usage, p.Measured = web.UsageOf(usage, item.Value.Limits), usage.Measured
	}
	return s.web.Render(w, statusFor(problems), p)
}

// statusFor is the status of a page that shows a form again.
func statusFor(problems form.Problems) int {
	if len(problems) > 0 {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// tenantDone ends a change on a tenant's page: with a notice, or with what was
// wrong.
func (s *Server) tenantDone(w http.ResponseWriter, r *http.Request, err error, word string) error {
	if problems, ok := form.From(err); ok {
		return s.showTenant(w, r, nil, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, tenantPath(r.PathValue("name")), word)
}

// activateTenant shows the link once.
func (s *Server) activateTenant(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	secret, err := s.tenants.Activate(r.Context(), name)
	if err != nil {
		return s.tenantDone(w, r, err, "")
	}
	l, err := s.handTenantLink(r, name, secret)
	if err != nil {
		return err
	}
	return s.render(w, web.LinkMadePage{Frame: s.inTenants(r, "Link for the first administrator"), URL: l.URL, SentTo: l.SentTo, Failure: l.Failure,
		Whom: "the tenant's first administrator", Back: web.Link{Text: "Back to the tenant", Path: tenantPath(name)}})
}

func (s *Server) disableTenant(w http.ResponseWriter, r *http.Request) error {
	return s.tenantDone(w, r, s.tenants.Disable(r.Context(), r.PathValue("name")), noticeTenantDisabled)
}

func (s *Server) enableTenant(w http.ResponseWriter, r *http.Request) error {
	return s.tenantDone(w, r, s.tenants.Enable(r.Context(), r.PathValue("name")), noticeTenantEnabled)
}

func (s *Server) limitTenant(w http.ResponseWriter, r *http.Request) error {
	var l tenant.Limits
	var problems form.Problems
	for field, value := range map[string]*int{"users": &l.Users, "cpu": &l.CPU, "memoryGiB": &l.MemoryGiB, "storageGiB": &l.StorageGiB, "pods": &l.Pods} {
		text := r.PostForm.Get(field)
		if text == "" {
			continue // no limit
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			problems.Add(field, "enter a whole number")
		}
		*value = n
	}
	err := problems.Err()
	if err == nil {
		err = s.tenants.SetLimits(r.Context(), r.PathValue("name"), l)
	}
	if problems, ok := form.From(err); ok {
		return s.showTenant(w, r, &l, problems)
	}
	return s.tenantDone(w, r, err, noticeLimits)
}

func (s *Server) confirmDeleteTenant(w http.ResponseWriter, r *http.Request) error {
	return s.showDeleteTenant(w, r, nil)
}

func (s *Server) showDeleteTenant(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	item, err := s.tenants.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	p := web.DeleteTenantPage{Frame: s.inTenants(r, "Delete "+item.Value.Organization), Name: item.Name}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

func (s *Server) deleteTenant(w http.ResponseWriter, r *http.Request) error {
	d, err := s.tenants.Delete(r.Context(), r.PathValue("name"), r.PostForm.Get("confirm"), r.PostForm.Get("force") != "")
	if problems, ok := form.From(err); ok {
		return s.showDeleteTenant(w, r, problems)
	}
	if err != nil {
		return err
	}
	return s.render(w, web.DeletedTenantPage{Frame: s.inTenants(r, "The tenant was deleted"), Deletion: d})
}
