package systemconsole

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/web"
)

// cluster returns the enterprise cluster; enterprise.ErrNotFound while there
// is none.
func (s *Server) cluster(ctx context.Context) (*enterprise.Recent, error) {
	if s.opts.Cluster == nil {
		return nil, noCluster()
	}
	c, err := s.found.Get(ctx)
	if errors.Is(err, enterprise.ErrNotFound) {
		return nil, noCluster()
	}
	return c, far(err)
}

func noCluster() error {
	return problem.New(problem.Failed, "install it: sealift install, or the section Enterprise cluster of a console on the host of the installation",
		"the enterprise cluster: %w", enterprise.ErrNotFound)
}

// clusterLife is how long the way to the cluster is used before it is found
// anew, such as with another version of an interface.
const clusterLife = time.Hour

// findCluster finds the cluster for all requests: to find it takes a dozen
// requests of its own. One that does not answer is found anew.
func (s *Server) findCluster(ctx context.Context) (*enterprise.Recent, error) {
	c, err := s.opts.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	return enterprise.NewRecent(c, s.found.Forget), nil
}

func (s *Server) overview(ctx context.Context) (*enterprise.Overview, error) {
	c, err := s.cluster(ctx)
	if err != nil {
		return nil, err
	}
	o, err := c.Overview(ctx)
	return o, far(err)
}

// changeCluster records a change of the cluster's machines and makes it, unless
// an upgrade is under way.
func (s *Server) changeCluster(ctx context.Context, e audit.Event, change func(enterprise.Cluster) error) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	if err := s.upgrades.Idle(ctx); err != nil {
		return err
	}
	return s.audit.Do(ctx, e, func() error { return far(change(c)) })
}

// clusterPage shows the cluster, or the way to one.
func (s *Server) clusterPage(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overview(r.Context())
	if errors.Is(err, enterprise.ErrNotFound) {
		return s.installPage(w, r)
	}
	if err != nil {
		return err
	}
	p := web.ClusterPage{Frame: s.frame(r, "Enterprise cluster", "cluster"), Tabs: clusterTabs("/cluster"), Overview: o, May: mayChangeCluster(r)}
	p.Reload = 10
	if err := s.upgrades.Idle(r.Context()); errors.Is(err, enterprise.ErrBusy) {
		p.Says = append(p.Says, web.Message{State: web.Busy, Text: "The cluster is being upgraded. The tab Upgrade shows how far it is; pools can be changed when it has ended."})
	}
	return s.render(w, p)
}

func mayChangeCluster(r *http.Request) bool {
	return auth.IdentityOf(r.Context()).May(auth.WriteCluster)
}

func clusterTabs(current string) []web.Tab {
	tabs := []web.Tab{
		{Text: "Overview", Path: "/cluster"},
		{Text: "Nodes", Path: "/cluster/nodes"},
		{Text: "Events", Path: "/cluster/events"},
		{Text: "Certificates", Path: "/cluster/certificates"},
		{Text: "Components", Path: "/cluster/components"},
		{Text: "Upgrade", Path: "/cluster/upgrade"},
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Path == current
	}
	return tabs
}

// inCluster is the frame of a page below the cluster's.
func (s *Server) inCluster(r *http.Request, title string, more ...web.Link) web.Frame {
	f := s.frame(r, title, "cluster")
	f.Crumbs = append([]web.Link{{Text: "Enterprise cluster", Path: "/cluster"}}, more...)
	return f
}

func (s *Server) nodesPage(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	p := web.NodesPage{Frame: s.inCluster(r, "Nodes"), Tabs: clusterTabs("/cluster/nodes"), Filter: r.FormValue("filter"), Only: r.FormValue("only")}
	p.Nodes, p.Pages = pageOf(selectNodes(o, p.Filter, p.Only == "attention"), r.FormValue("page"), rowsPerPage)
	p.Pages.Path, p.Pages.Query = "/cluster/nodes", url.Values{"filter": {p.Filter}, "only": {p.Only}}
	return s.render(w, p)
}

func (s *Server) nodePage(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	n, ok := o.Node(r.PathValue("name"))
	if !ok {
		return errUnknown
	}
	return s.render(w, web.NodePage{Frame: s.inCluster(r, n.Name, web.Link{Text: "Nodes", Path: "/cluster/nodes"}), Node: n})
}

func (s *Server) eventsPage(w http.ResponseWriter, r *http.Request) error {
	c, err := s.cluster(r.Context())
	if err != nil {
		return err
	}
	events, err := c.Events(r.Context())
	if err != nil {
		return far(err)
	}
	p := web.EventsPage{Frame: s.inCluster(r, "Events"), Tabs: clusterTabs("/cluster/events"), Filter: r.FormValue("filter"), Only: r.FormValue("only"), Total: len(events)}
	wanted := strings.ToLower(p.Filter)
	for _, e := range events {
		text := strings.ToLower(e.Reason + " " + e.Object + " " + e.Message)
		if strings.Contains(text, wanted) && (p.Only != "warnings" || e.State == enterprise.Warn) {
			p.Events = append(p.Events, e)
		}
	}
	p.Events, p.Pages = pageOf(p.Events, r.FormValue("page"), rowsPerPage)
	p.Pages.Path, p.Pages.Query = "/cluster/events", url.Values{"filter": {p.Filter}, "only": {p.Only}}
	return s.render(w, p)
}

func (s *Server) certificatesPage(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, web.CertificatesPage{Frame: s.inCluster(r, "Certificates"), Tabs: clusterTabs("/cluster/certificates"), Certificates: o.Certificates})
}
