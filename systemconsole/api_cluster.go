package systemconsole

import (
	"fmt"
	"net/http"

	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

// EventList is the last events of the cluster, the newest first.
type EventList struct {
	Events []enterprise.Event `json:"events"`
}

// Scale is how many machines a pool gets.
type Scale struct {
	Machines int `json:"machines"`
}

// PoolRemoval confirms the removal of a pool.
type PoolRemoval struct {
	Confirm string `json:"confirm"` // the pool's name
}

// BundleList is the bundles that an upgrade can be made of.
type BundleList struct {
	Bundles []upgrade.Bundle `json:"bundles"`
}

// UpgradeState is the upgrade that is under way, or the last one.
type UpgradeState struct {
	Upgrade *upgrades.Upgrade `json:"upgrade,omitempty"` // left out when there was none
}

// UpgradeRequest confirms an upgrade and settles conflicts of values.
type UpgradeRequest struct {
	Confirm string                  `json:"confirm"`           // the cluster's name
	Choices map[string]upgrade.Side `json:"choices,omitempty"` // live or after, by the setting's path
}

func (s *Server) apiCluster(r *http.Request, _ nothing) (enterprise.Overview, error) {
	o, err := s.overview(r.Context())
	if err != nil {
		return enterprise.Overview{}, err
	}
	return *o, nil
}

func (s *Server) apiEvents(r *http.Request, _ nothing) (EventList, error) {
	list := EventList{Events: []enterprise.Event{}}
	c, err := s.cluster(r.Context())
	if err != nil {
		return list, err
	}
	list.Events, err = c.Events(r.Context())
	return list, far(err)
}

func (s *Server) apiComponents(r *http.Request, _ nothing) (upgrade.Installed, error) {
	if !s.upgrades.Possible() {
		return upgrade.Installed{}, errNoUpgrades()
	}
	i, err := s.upgrades.Upgrader().Installed(r.Context())
	if err != nil {
		return upgrade.Installed{}, err
	}
	if i == nil {
		return upgrade.Installed{}, fmt.Errorf("what is installed: %w", enterprise.ErrNotFound)
	}
	return *i, nil
}

func (s *Server) apiAddPool(r *http.Request, p enterprise.NewPool) (nothing, error) {
	e := audit.Event{Action: "pool.add", Object: "Pool/" + p.Name, After: p}
	return nothing{}, s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.AddPool(r.Context(), p) })
}

func (s *Server) apiScale(r *http.Request, in Scale) (nothing, error) {
	name := r.PathValue("name")
	e := audit.Event{Action: "pool.scale", Object: "Pool/" + name, After: in}
	return nothing{}, s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.Scale(r.Context(), name, in.Machines) })
}

func (s *Server) apiResize(r *http.Request, size enterprise.Size) (nothing, error) {
	name := r.PathValue("name")
	e := audit.Event{Action: "pool.resize", Object: "Pool/" + name, After: size}
	return nothing{}, s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.Resize(r.Context(), name, size) })
}

func (s *Server) apiRemovePool(r *http.Request, in PoolRemoval) (nothing, error) {
	name := r.PathValue("name")
	if in.Confirm != name {
		return nothing{}, form.Fail("confirm", "give the pool's name to remove it")
	}
	e := audit.Event{Action: "pool.remove", Object: "Pool/" + name}
	return nothing{}, s.changeCluster(r.Context(), e, func(c enterprise.Cluster) error { return c.RemovePool(r.Context(), name) })
}

func (s *Server) apiUpgrade(r *http.Request, _ nothing) (UpgradeState, error) {
	last, err := s.upgrades.Last(r.Context())
	return UpgradeState{Upgrade: last}, err
}

func (s *Server) apiResumeUpgrade(r *http.Request, _ nothing) (nothing, error) {
	if !s.upgrades.Possible() {
		return nothing{}, errNoUpgrades()
	}
	return nothing{}, s.upgrades.Resume(r.Context())
}

func (s *Server) apiBundles(r *http.Request, _ nothing) (BundleList, error) {
	list := BundleList{Bundles: []upgrade.Bundle{}}
	if !s.upgrades.Possible() {
		return list, nil
	}
	all, err := s.upgrades.Upgrader().Bundles(r.Context())
	list.Bundles = append(list.Bundles, all...)
	return list, err
}

func (s *Server) apiPlan(r *http.Request, _ nothing) (upgrade.Plan, error) {
	p, err := s.plan(r)
	if err != nil {
		return upgrade.Plan{}, err
	}
	return *p.Plan, nil
}

func (s *Server) apiStartUpgrade(r *http.Request, in UpgradeRequest) (nothing, error) {
	p, err := s.plan(r)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, s.start(r.Context(), p, in.Choices, "", in.Confirm)
}
