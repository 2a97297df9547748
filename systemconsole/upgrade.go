package systemconsole

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/web"
)

// upgradePage shows the upgrade that is under way or the last one, what is
// installed, and the bundles that there are.
func (s *Server) upgradePage(w http.ResponseWriter, r *http.Request) error {
	p := web.UpgradePage{Frame: s.inCluster(r, "Upgrade"), Tabs: clusterTabs("/cluster/upgrade"), May: mayChangeCluster(r), Possible: s.upgrades.Possible()}
	var err error
	if p.Last, err = s.upgrades.Last(r.Context()); err != nil {
		return err
	}
	if p.Running() {
		p.Reload = 5
		return s.render(w, p)
	}
	if !p.Possible {
		return s.render(w, p)
	}
	if p.Installed, err = s.upgrades.Upgrader().Installed(r.Context()); err != nil {
		p.Says = append(p.Says, says(err))
	}
	if p.Bundles, err = s.upgrades.Upgrader().Bundles(r.Context()); err != nil {
		p.Says = append(p.Says, says(err))
	}
	return s.render(w, p)
}

// says shows an error on top of a page that has other things to show.
func says(err error) web.Message {
	return web.Message{State: web.Bad, Text: err.Error(), Remedies: problem.Remedies(err)}
}

func (s *Server) componentsPage(w http.ResponseWriter, r *http.Request) error {
	p := web.ComponentsPage{Frame: s.inCluster(r, "Components"), Tabs: clusterTabs("/cluster/components"), Filter: r.FormValue("filter")}
	if !s.upgrades.Possible() {
		return s.render(w, p)
	}
	var err error
	if p.Installed, err = s.upgrades.Upgrader().Installed(r.Context()); err != nil {
		p.Says = append(p.Says, says(err))
	}
	return s.render(w, p)
}

// errNoUpgrades means: the console was given no way to upgrade the cluster.
func errNoUpgrades() error {
	return problem.New(problem.Failed, "ask the console in the cluster, or run sealift upgrade on the host that has the bundle and reaches the site",
		"this console knows nothing of releases, and upgrades nothing: %w", enterprise.ErrNotFound)
}

// bundle finds a bundle by the id in the path.
func (s *Server) bundle(r *http.Request) (upgrade.Bundle, error) {
	if !s.upgrades.Possible() {
		return upgrade.Bundle{}, errNoUpgrades()
	}
	all, err := s.upgrades.Upgrader().Bundles(r.Context())
	if err != nil {
		return upgrade.Bundle{}, err
	}
	i := slices.IndexFunc(all, func(b upgrade.Bundle) bool { return b.ID == r.PathValue("id") })
	if i < 0 {
		return upgrade.Bundle{}, problem.New(problem.Failed, "push the bundle into the site's registry again, or choose another on the page Upgrade",
			"bundle %.60q: %w", r.PathValue("id"), store.ErrNotFound)
	}
	return all[i], nil
}

// planned is a bundle and what an upgrade to it would change.
type planned struct {
	bundle upgrade.Bundle
	*upgrade.Plan
}

// plan plans the upgrade to the bundle in the path. An error comes with the
// bundle when there is one, and no way to its release.
func (s *Server) plan(r *http.Request) (planned, error) {
	b, err := s.bundle(r)
	if err != nil {
		return planned{}, err
	}
	p, err := s.upgrades.Upgrader().Plan(r.Context(), b.ID)
	return planned{b, p}, err
}

// withPlan answers with a plan, or with why there is no way to the release.
func (s *Server) withPlan(answer func(http.ResponseWriter, *http.Request, planned) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.plan(r)
		if err == nil {
			return answer(w, r, p)
		}
		if p.bundle.ID == "" || r.Context().Err() != nil {
			return err
		}
		return s.refusedPlan(w, r, p.bundle, err)
	}
}

func (s *Server) upgradePlanPage(w http.ResponseWriter, r *http.Request, p planned) error {
	return s.showPlan(w, r, http.StatusOK, p, nil)
}

// refusedPlan says why there is no way to a bundle's release.
func (s *Server) refusedPlan(w http.ResponseWriter, r *http.Request, b upgrade.Bundle, err error) error {
	p := web.UpgradePlanPage{Frame: s.inUpgrade(r, b), Bundle: b}
	p.Says = []web.Message{says(err)}
	return s.web.Render(w, http.StatusUnprocessableEntity, p)
}

func (s *Server) inUpgrade(r *http.Request, b upgrade.Bundle) web.Frame {
	return s.inCluster(r, "Upgrade to "+b.Name+" "+b.Version, web.Link{Text: "Upgrade", Path: "/cluster/upgrade"})
}

// showPlan shows a plan with the form that starts it.
func (s *Server) showPlan(w http.ResponseWriter, r *http.Request, status int, plan planned, problems form.Problems) error {
	p := web.UpgradePlanPage{Frame: s.inUpgrade(r, plan.bundle), Bundle: plan.bundle, Plan: plan.Plan, State: stateOf(plan.Plan), May: mayChangeCluster(r),
		Expect: r.PostFormValue("expect")}
	p.Problems = problems
	for _, setting := range plan.Values {
		if setting.Outcome == upgrade.Conflict {
			p.Conflicts = append(p.Conflicts, conflict(setting, r.PostFormValue(choiceField(setting.Path))))
		}
	}
	if busy := s.idleCluster(r.Context()); busy != nil {
		p.Busy = true
		p.Says = append(p.Says, web.Message{State: web.Warn, Text: "The upgrade cannot start now: " + busy.Error(), Remedies: problem.Remedies(busy)})
	}
	return s.web.Render(w, status, p)
}

// choiceField is the name of the form's field for a conflict.
func choiceField(path string) string { return "value" + path }

func conflict(s upgrade.Setting, chosen string) web.ValueConflict {
	return web.ValueConflict{Setting: s, Field: choiceField(s.Path), Choices: []web.Choice{
		{Value: string(upgrade.Live), Text: web.ValueText(s.Live), Note: "Set now: keep it", Checked: chosen == string(upgrade.Live)},
		{Value: string(upgrade.After), Text: web.ValueText(s.After), Note: "Default of the new release: take it", Checked: chosen == string(upgrade.After)},
	}}
}

// stateOf identifies the values that a plan was made with: choices hold for
// these and for no others.
func stateOf(p *upgrade.Plan) string {
	data, _ := json.Marshal(p.Values) // strings only
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// idleCluster fails with enterprise.ErrBusy while machines are made, replaced
// or removed, or an upgrade runs.
func (s *Server) idleCluster(ctx context.Context) error {
	if err := s.upgrades.Idle(ctx); err != nil {
		return err
	}
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	o, err := c.Now(ctx)
	if err != nil {
		return far(err)
	}
	for _, p := range o.Pools {
		if p.Changing() {
			return problem.New(problem.Failed, "wait until pool "+p.Name+" is settled", "pool %s: %s: %w", p.Name, p.Status.Text, enterprise.ErrBusy)
		}
	}
	return nil
}

// startUpgrade starts what the page shows. The plan is made anew: what has
// changed since then is shown again instead.
func (s *Server) startUpgrade(w http.ResponseWriter, r *http.Request, plan planned) error {
	choices := upgrade.Choices{}
	for _, setting := range plan.Values {
		if side := r.PostFormValue(choiceField(setting.Path)); side != "" && setting.Outcome == upgrade.Conflict {
			choices[setting.Path] = upgrade.Side(side)
		}
	}
	err := s.start(r.Context(), plan, choices, r.PostFormValue("state"), r.PostFormValue("expect"))
	problems, ok := form.From(err)
	if !ok {
		problems, ok = refused(err, "")
	}
	if ok {
		return s.showPlan(w, r, http.StatusUnprocessableEntity, plan, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/cluster/upgrade", noticeUpgrading)
}

// start begins an upgrade that was confirmed with the cluster's name; state is
// that of the plan which was seen, or empty.
func (s *Server) start(ctx context.Context, p planned, choices upgrade.Choices, state, expect string) error {
	if err := checkStart(p.Plan, choices, state, expect); err != nil {
		return err
	}
	if err := s.idleCluster(ctx); err != nil {
		return err
	}
	return s.upgrades.Start(ctx, p.bundle, choices)
}

// checkStart says what keeps a plan from being carried out.
func checkStart(plan *upgrade.Plan, choices upgrade.Choices, state, expect string) error {
	var p form.Problems
	if state != "" && state != stateOf(plan) {
		p.Add("", "the values have changed since this page was shown: look at them again")
	}
	for _, path := range upgrade.Undecided(plan.Values, choices) {
		p.Add(choiceField(path), "choose which value of %s is taken", path)
	}
	if missing := plan.Missing(); len(missing) > 0 {
		p.Add("", "the registry lacks %d images and artifacts of the bundle: push the bundle first", len(missing))
	}
	if expect != plan.Cluster {
		p.Add("expect", "type the cluster's name, %s, to upgrade it", plan.Cluster)
	}
	return p.Err()
}

func (s *Server) resumeUpgrade(w http.ResponseWriter, r *http.Request) error {
	if !s.upgrades.Possible() {
		return errNoUpgrades()
	}
	if err := s.upgrades.Resume(r.Context()); err != nil {
		return err
	}
	return seeNotice(w, r, "/cluster/upgrade", noticeUpgrading)
}
