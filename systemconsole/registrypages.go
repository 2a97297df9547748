package systemconsole

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/web"
)

func mayChangeRegistries(r *http.Request) bool {
	return auth.IdentityOf(r.Context()).May(auth.WriteRegistries)
}

func (s *Server) registriesPage(w http.ResponseWriter, r *http.Request) error {
	all, err := s.registries.List(r.Context())
	if err != nil {
		return err
	}
	p := web.RegistriesPage{Frame: s.frame(r, "Registries", "registries"), May: mayChangeRegistries(r), Registries: all, Upload: s.uploads != nil}
	p.Site = p.May && s.opts.Upgrader != nil && len(all) == 0
	if s.uploads != nil && p.May {
		if p.Uploads, err = s.uploads.List(r.Context()); err != nil {
			return err
		}
	}
	return s.render(w, p)
}

// inRegistries is the frame of a page below the registries'.
func (s *Server) inRegistries(r *http.Request, title string, more ...web.Link) web.Frame {
	f := s.frame(r, title, "registries")
	f.Crumbs = append([]web.Link{{Text: "Registries", Path: "/registries"}}, more...)
	return f
}

func (s *Server) newRegistryPage(w http.ResponseWriter, r *http.Request) error {
	return s.showNewRegistry(w, r, http.StatusOK, registries.Draft{Type: registries.OCI}, nil)
}

func (s *Server) showNewRegistry(w http.ResponseWriter, r *http.Request, status int, d registries.Draft, problems form.Problems) error {
	p := web.NewRegistryPage{Frame: s.inRegistries(r, "Add a registry"), Draft: d}
	p.Problems = problems
	for _, c := range []struct {
		Type registries.Type
		Note string
	}{
		{registries.OCI, "Images and artifacts"},
		{registries.Helm, "Charts behind an index.yaml"},
		{registries.Packs, "Packs in an OCI registry"},
	} {
		p.Types = append(p.Types, web.Choice{Value: string(c.Type), Text: c.Type.Title(), Note: c.Note, Checked: c.Type == d.Type})
	}
	return s.web.Render(w, status, p)
}

func (s *Server) addRegistry(w http.ResponseWriter, r *http.Request) error {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	d := registries.Draft{Name: text("name"), Type: registries.Type(text("type")), Endpoint: text("endpoint"), Prefix: text("prefix"),
		Username: text("username"), Password: r.PostFormValue("password"), CA: text("ca"), Key: text("key")}
	_, err := s.keepRegistry(r.Context(), d)
	if problems, ok := form.From(err); ok {
		return s.showNewRegistry(w, r, http.StatusUnprocessableEntity, d, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/registries/"+d.Name, noticeRegistryAdded)
}

// keepRegistry adds a registry, and asks whether it answers.
func (s *Server) keepRegistry(ctx context.Context, d registries.Draft) (store.Item[registries.Registry], error) {
	if err := s.registries.Add(ctx, d); err != nil {
		return store.Item[registries.Registry]{}, err
	}
	return s.registries.Validate(ctx, d.Name)
}

// siteRegistry is the name of the registry that the cluster was installed from.
const siteRegistry = "site"

// addSiteRegistry adds the registry that the cluster was installed from, as the
// installation knows it.
func (s *Server) addSiteRegistry(ctx context.Context) (store.Item[registries.Registry], error) {
	if s.opts.Upgrader == nil {
		return store.Item[registries.Registry]{}, errUnknown
	}
	r, err := s.opts.Upgrader.Registry(ctx)
	if err != nil { // who asks can mend it
		return store.Item[registries.Registry]{}, &problem.Error{Err: fmt.Errorf("reading how the installation reaches its registry: %w", err), Kind: problem.Usage}
	}
	return s.keepRegistry(ctx, registries.Draft{Name: siteRegistry, Type: registries.OCI, Endpoint: r.Endpoint, Prefix: r.Prefix,
		Username: r.Username, Password: r.Password, CA: r.CA, Key: r.Key})
}

func (s *Server) addSiteRegistryPage(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.addSiteRegistry(r.Context()); err != nil {
		return err
	}
	return seeNotice(w, r, "/registries/"+siteRegistry, noticeRegistryAdded)
}

func (s *Server) registryPage(w http.ResponseWriter, r *http.Request) error {
	item, err := s.registries.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	p := web.RegistryPage{Frame: s.inRegistries(r, item.Name), May: mayChangeRegistries(r), Name: item.Name, Registry: item.Value,
		Status: web.RegistryStatus(item.Value), Filter: r.FormValue("filter")}
	names, err := s.registries.Names(r.Context(), item.Name)
	if err != nil {
		p.Failure = err.Error()
	}
	for _, name := range names {
		if strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(p.Filter))) {
			p.Parts = append(p.Parts, name)
		}
	}
	return s.render(w, p)
}

func (s *Server) registryEntries(w http.ResponseWriter, r *http.Request) error {
	name, part := r.PathValue("name"), r.PathValue("part")
	entries, err := s.registries.Entries(r.Context(), name, part)
	if err != nil {
		return far(err)
	}
	return s.render(w, web.EntriesPage{Frame: s.inRegistries(r, part, web.Link{Text: name, Path: "/registries/" + name}), Contents: entries})
}

func (s *Server) validateRegistry(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if _, err := s.registries.Validate(r.Context(), name); err != nil {
		return err
	}
	return seeNotice(w, r, "/registries/"+url.PathEscape(name), noticeRegistryChecked)
}

func (s *Server) removeRegistryPage(w http.ResponseWriter, r *http.Request) error {
	item, err := s.registries.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	path := "/registries/" + item.Name
	return s.render(w, web.ConfirmPage{Frame: s.inRegistries(r, "Remove registry "+item.Name, web.Link{Text: item.Name, Path: path}),
		Question: "The console forgets this registry.", Detail: []string{"What the registry holds stays there.", "Its password and certificate are deleted here."},
		Action: path + "/remove", Button: "Remove the registry", Back: path})
}

func (s *Server) removeRegistry(w http.ResponseWriter, r *http.Request) error {
	if err := s.registries.Remove(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return seeNotice(w, r, "/registries", noticeRegistryRemoved)
}

func (s *Server) uploadPage(w http.ResponseWriter, r *http.Request) error {
	return s.showUpload(w, r, http.StatusOK, nil)
}

func (s *Server) showUpload(w http.ResponseWriter, r *http.Request, status int, problems form.Problems) error {
	u, err := s.uploads.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	all, err := s.registries.List(r.Context())
	if err != nil {
		return err
	}
	p := web.UploadPage{Frame: s.inRegistries(r, "Bundle "+u.Name), Upload: u, Registry: r.PostFormValue("registry")}
	p.Problems = problems
	if !u.Job.Again() && !u.Job.Finished {
		p.Reload = 3
	}
	for _, one := range all {
		if one.Value.Type != registries.Helm {
			p.Registries = append(p.Registries, web.Option{Value: one.Name, Text: one.Name + " (" + one.Value.Endpoint + ")"})
		}
	}
	return s.web.Render(w, status, p)
}

func (s *Server) pushUpload(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	err := s.uploads.Start(r.Context(), id, r.PostFormValue("registry"))
	if problems, ok := form.From(err); ok {
		return s.showUpload(w, r, http.StatusUnprocessableEntity, problems)
	}
	if err != nil {
		return err
	}
	return see(w, r, "/bundles/"+id)
}
