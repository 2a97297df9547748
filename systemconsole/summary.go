package systemconsole

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/web"
)

// summary is the first page: each part of it is for who may see its section.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) error {
	p := web.SummaryPage{Frame: s.frame(r, "Summary", "summary")}
	p.Reload = 30
	for _, part := range []struct {
		needs auth.Permission
		add   func(context.Context, *web.SummaryPage) error
	}{{auth.ReadCluster, s.summarizeCluster}, {auth.ReadTenants, s.summarizeTenants}, {auth.ReadRegistries, s.summarizeRegistries}, {auth.ReadSettings, s.summarizeSettings}} {
		if !auth.IdentityOf(r.Context()).May(part.needs) {
			continue
		}
		if err := part.add(r.Context(), &p); err != nil {
			return err
		}
	}
	return s.render(w, p)
}

// shownEvents is how many events the summary shows, shownUnwell how many nodes
// that are not ready.
const (
	shownEvents = 6
	shownUnwell = 10
)

func (s *Server) summarizeCluster(ctx context.Context, p *web.SummaryPage) error {
	c, err := s.cluster(ctx)
	if errors.Is(err, enterprise.ErrNotFound) {
		p.ShowsNone, p.Installs = true, s.opts.Installation != nil
		p.Figures = append(p.Figures, web.Figure{Label: "Enterprise cluster", Icon: "cluster", Path: "/cluster", Value: "None", Status: web.Status{Text: "Not installed"}})
		return nil
	}
	if err == nil {
		p.Overview, err = c.Overview(ctx)
	}
	if err != nil {
		p.Attention = append(p.Attention, web.Attention{State: web.Bad, Text: "The enterprise cluster does not answer", Remedy: err.Error(), Path: "/cluster"})
		return nil
	}
	nodes, ready := 0, 0
	var unwell []web.Attention
	for n := range p.Overview.Nodes() {
		nodes++
		if n.Status.State == enterprise.Good {
			ready++
		} else if n.Status.State != enterprise.Busy {
			unwell = append(unwell, web.Attention{State: web.State(n.Status.State), Text: n.Name + ": " + n.Status.Text, Path: "/cluster/nodes/" + n.Name})
		}
	}
	if more := len(unwell) - shownUnwell; more > 0 {
		unwell = append(unwell[:shownUnwell], web.Attention{State: web.Warn, Text: moreNodes(more), Path: "/cluster/nodes?only=attention"})
	}
	p.Attention = append(p.Attention, unwell...)
	for _, c := range p.Overview.Certificates {
		if c.Status.State != enterprise.Good {
			p.Attention = append(p.Attention, web.Attention{State: web.State(c.Status.State), Text: "Certificate " + c.Name, Remedy: c.Status.Text, Path: "/cluster/certificates"})
		}
	}
	status := web.Status{State: web.State(p.Overview.Status.State), Text: p.Overview.Status.Text}
	p.Figures = append(p.Figures, web.Figure{Label: "Nodes ready", Icon: "node", Path: "/cluster", Value: strconv.Itoa(ready), Unit: "of " + strconv.Itoa(nodes), Status: status})
	events, err := c.Events(ctx)
	p.Events = events[:min(len(events), shownEvents)]
	if err != nil {
		p.Attention = append(p.Attention, web.Attention{State: web.Bad, Text: "The cluster's events cannot be read", Remedy: err.Error(), Path: "/cluster/events"})
	}
	return nil
}

// moreNodes tells of nodes that are not ready and not listed.
func moreNodes(n int) string {
	if n == 1 {
		return "1 more node is not ready"
	}
	return strconv.Itoa(n) + " more nodes are not ready"
}

func (s *Server) summarizeTenants(ctx context.Context, p *web.SummaryPage) error {
	count, err := s.tenants.Count(ctx)
	if err != nil {
		return err
	}
	f := web.Figure{Label: "Tenants", Icon: "tenants", Path: "/tenants", Value: strconv.Itoa(count.All), Status: web.Status{State: web.Good, Text: strconv.Itoa(count.Active) + " active"}}
	if count.Active == 0 {
		f.Status.State = web.Unknown
	}
	p.Figures = append(p.Figures, f)
	return nil
}

func (s *Server) summarizeRegistries(ctx context.Context, p *web.SummaryPage) error {
	all, err := s.registries.List(ctx)
	if err != nil {
		return err
	}
	f := web.Figure{Label: "Registries", Icon: "registry", Path: "/registries", Value: strconv.Itoa(len(all)), Status: web.Status{State: web.Good, Text: "All answered"}}
	if len(all) == 0 {
		f.Status = web.Status{Text: "None yet"}
		p.Attention = append(p.Attention, web.Attention{State: web.Warn, Text: "No registry is known", Remedy: "Add the site's registry, so that bundles can be pushed.", Path: "/registries"})
	}
	for _, one := range all {
		if status := web.RegistryStatus(one.Value); status.State != web.Good {
			f.Status = web.Status{State: web.Warn, Text: one.Name + ": " + status.Text}
			p.Attention = append(p.Attention, web.Attention{State: web.Warn, Text: "Registry " + one.Name + ": " + status.Text, Remedy: one.Value.Failure, Path: "/registries/" + one.Name})
		}
	}
	p.Figures = append(p.Figures, f)
	return nil
}

// summarizeSettings tells of what should be set and is not.
func (s *Server) summarizeSettings(ctx context.Context, p *web.SummaryPage) error {
	settings, err := s.settings.Get(ctx)
	if err != nil {
		return err
	}
	if settings.Mail.Host == "" {
		p.Attention = append(p.Attention, web.Attention{State: web.Warn, Text: "Mail is not set up", Remedy: "Links have to be copied by hand until then.", Path: "/administration/mail"})
	}
	if settings.Backup.Hours == 0 {
		p.Attention = append(p.Attention, web.Attention{State: web.Warn, Text: "No backups are written", Remedy: "Name a folder and a schedule.", Path: backupsPath})
	}
	return nil
}
