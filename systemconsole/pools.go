package systemconsole

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/web"
)

func (s *Server) poolPage(w http.ResponseWriter, r *http.Request) error {
	return s.showPool(w, r, http.StatusOK, nil)
}

// showPool shows a pool with what was wrong with a form on its page.
func (s *Server) showPool(w http.ResponseWriter, r *http.Request, status int, problems form.Problems) error {
	o, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	pool, ok := o.Pool(r.PathValue("name"))
	if !ok {
		return errUnknown
	}
	p := web.PoolPage{Frame: s.inCluster(r, pool.Name), May: mayChangeCluster(r), Pool: pool, Machines: r.PostFormValue("machines")}
	p.Problems = problems
	if pool.Changing() { // else it would take away what is entered without JavaScript
		p.Reload = 5
	}
	p.Nodes, p.Pages = pageOf(pool.Nodes, r.FormValue("page"), rowsPerPage)
	p.Pages.Path = "/cluster/pools/" + url.PathEscape(pool.Name)
	if p.Machines == "" {
		p.Machines = strconv.Itoa(pool.Desired)
	}
	for _, n := range []int{1, 3, 5} {
		c := web.Choice{Value: strconv.Itoa(n), Text: strconv.Itoa(n), Note: tolerance(n), Checked: n == pool.Desired}
		if err := enterprise.CheckScale(pool, n); err != nil && n != pool.Desired {
			c.Disabled, c.Note = true, why(err)
		}
		p.Choices = append(p.Choices, c)
	}
	p.Sizes = sizes(pool.Size)
	return s.web.Render(w, status, p)
}

func tolerance(machines int) string {
	if machines == 1 {
		return "No failure is survived"
	}
	return "Survives the loss of " + strconv.Itoa(machines/2)
}

// why is the reason for which a change is refused, in a few words.
func why(err error) string {
	switch {
	case errors.Is(err, enterprise.ErrQuorum):
		return "Would lose etcd's quorum: not all nodes are ready"
	case errors.Is(err, enterprise.ErrBusy):
		return "Not while machines are being replaced"
	default:
		return err.Error()
	}
}

// sizes are the named sizes, with the current one if it is none of them.
func sizes(current enterprise.Size) []web.Choice {
	var out []web.Choice
	for _, n := range enterprise.Sizes() {
		out = append(out, web.Choice{Value: n.Name, Text: n.Name, Note: n.Size.String(), Checked: n.Size == current})
	}
	return out
}

func sizeNamed(name string) (enterprise.Size, bool) {
	for _, n := range enterprise.Sizes() {
		if n.Name == name {
			return n.Size, true
		}
	}
	return enterprise.Size{}, false
}

func (s *Server) scalePool(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	machines, err := strconv.Atoi(r.PostFormValue("machines"))
	if err != nil {
		return s.showPool(w, r, http.StatusUnprocessableEntity, form.Problems{{Field: "machines", Text: "enter a whole number"}})
	}
	e := audit.Event{Action: "pool.scale", Object: "Pool/" + name, After: map[string]int{"machines": machines}}
	err = s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.Scale(r.Context(), name, machines) })
	return s.afterPool(w, r, err, "machines", noticeScaled)
}

// afterPool goes back to the pool; a change that was refused is explained
// beside the field that asked for it.
func (s *Server) afterPool(w http.ResponseWriter, r *http.Request, err error, field, notice string) error {
	if problems, ok := refused(err, field); ok {
		return s.showPool(w, r, http.StatusUnprocessableEntity, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/cluster/pools/"+url.PathEscape(r.PathValue("name")), notice)
}

// refused makes problems of a form from a change that was refused.
func refused(err error, field string) (form.Problems, bool) {
	for _, one := range []error{enterprise.ErrInvalid, enterprise.ErrQuorum, enterprise.ErrBusy} {
		if errors.Is(err, one) {
			text := err.Error()
			for _, remedy := range problem.Remedies(err) {
				text += ": " + remedy
			}
			return form.Problems{{Field: field, Text: text}}, true
		}
	}
	return nil, false
}

func (s *Server) resizePool(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	size, ok := sizeNamed(r.PostFormValue("size"))
	if !ok {
		return s.showPool(w, r, http.StatusUnprocessableEntity, form.Problems{{Field: "size", Text: "choose a size"}})
	}
	e := audit.Event{Action: "pool.resize", Object: "Pool/" + name, After: size}
	err := s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.Resize(r.Context(), name, size) })
	return s.afterPool(w, r, err, "size", noticeResized)
}

func (s *Server) newPoolPage(w http.ResponseWriter, r *http.Request) error {
	return s.showNewPool(w, r, http.StatusOK, nil)
}

func (s *Server) showNewPool(w http.ResponseWriter, r *http.Request, status int, problems form.Problems) error {
	p := web.NewPoolPage{Frame: s.inCluster(r, "Add a pool"), Name: r.PostFormValue("name"), Machines: r.PostFormValue("machines")}
	if p.Machines == "" {
		p.Machines = "1"
	}
	p.Problems = problems
	size, ok := sizeNamed(r.PostFormValue("size"))
	if !ok {
		size = enterprise.Sizes()[0].Size
	}
	p.Sizes = sizes(size)
	return s.web.Render(w, status, p)
}

func (s *Server) addPool(w http.ResponseWriter, r *http.Request) error {
	p := enterprise.NewPool{Name: r.PostFormValue("name")}
	size, ok := sizeNamed(r.PostFormValue("size"))
	if !ok {
		return s.showNewPool(w, r, http.StatusUnprocessableEntity, form.Problems{{Field: "size", Text: "choose a size"}})
	}
	p.Size = size
	var err error
	if p.Machines, err = strconv.Atoi(r.PostFormValue("machines")); err != nil {
		return s.showNewPool(w, r, http.StatusUnprocessableEntity, form.Problems{{Field: "machines", Text: "enter a whole number"}})
	}
	e := audit.Event{Action: "pool.add", Object: "Pool/" + p.Name, After: p}
	err = s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.AddPool(r.Context(), p) })
	if problems, ok := refused(err, "name"); ok {
		return s.showNewPool(w, r, http.StatusUnprocessableEntity, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/cluster/pools/"+url.PathEscape(p.Name), noticePoolAdded)
}

func (s *Server) removePoolPage(w http.ResponseWriter, r *http.Request) error {
	return s.confirmRemoval(w, r, http.StatusOK, nil)
}

func (s *Server) confirmRemoval(w http.ResponseWriter, r *http.Request, status int, problems form.Problems) error {
	o, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	pool, ok := o.Pool(r.PathValue("name"))
	if !ok || pool.ControlPlane {
		return errUnknown
	}
	path := "/cluster/pools/" + url.PathEscape(pool.Name)
	p := web.ConfirmPage{Frame: s.inCluster(r, "Remove pool "+pool.Name, web.Link{Text: pool.Name, Path: path}),
		Question: "This removes the pool for good.", Action: path + "/remove", Button: "Remove the pool", Back: path, Expect: pool.Name,
		Detail: []string{leaving(pool.Present), "What runs there moves to other pools, as far as there is room."}}
	p.Problems = problems
	return s.web.Render(w, status, p)
}

// leaving says what becomes of the machines of a pool that is removed.
func leaving(machines int) string {
	if machines == 1 {
		return "Its machine is drained and deleted."
	}
	return fmt.Sprintf("Its %d machines are drained and deleted.", machines)
}

func (s *Server) removePool(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if r.PostFormValue("expect") != name {
		return s.confirmRemoval(w, r, http.StatusUnprocessableEntity, form.Problems{{Field: "expect", Text: "type the pool's name to remove it"}})
	}
	e := audit.Event{Action: "pool.remove", Object: "Pool/" + name}
	err := s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.RemovePool(r.Context(), name) })
	if problems, ok := refused(err, ""); ok {
		return s.confirmRemoval(w, r, http.StatusUnprocessableEntity, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/cluster", noticePoolRemoved)
}
