package vcenter

import (
	"maps"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// need is a privilege that a call needs on an object.
type need struct {
	on        types.ManagedObjectReference
	privilege string
}

// permitted returns nil where the caller has every privilege that a call
// needs, else a NoPermission that names the first missing one, and all.
func (v *VCenter) permitted(ctx *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	user, ok := v.user(ctx)
	if !ok || principal(user) == principal(v.options.Admin.Name) {
		return nil
	}
	return v.missing(ctx, user, v.needs(ctx, m))
}

func (v *VCenter) missing(ctx *simulator.Context, user string, needs []need) types.BaseMethodFault {
	var fault *types.NoPermission
	granted := map[types.ManagedObjectReference]map[string]bool{}
	for _, n := range needs {
		if granted[n.on] == nil {
			granted[n.on] = v.granted(ctx, user, n.on)
		}
		if granted[n.on][n.privilege] {
			continue
		}
		if fault == nil {
			fault = &types.NoPermission{Object: &n.on, PrivilegeId: n.privilege}
		}
		fault.MissingPrivileges = withMissing(fault.MissingPrivileges, n)
	}
	if fault == nil {
		return nil
	}
	return fault
}

func withMissing(list []types.NoPermissionEntityPrivileges, n need) []types.NoPermissionEntityPrivileges {
	for i := range list {
		if list[i].Entity == n.on {
			if !slices.Contains(list[i].PrivilegeIds, n.privilege) {
				list[i].PrivilegeIds = append(list[i].PrivilegeIds, n.privilege)
			}
			return list
		}
	}
	return append(list, types.NoPermissionEntityPrivileges{Entity: n.on, PrivilegeIds: []string{n.privilege}})
}

// granted returns the privileges that a user has on an object. A machine
// inherits from its folder and from its pool.
func (v *VCenter) granted(ctx *simulator.Context, user string, ref types.ManagedObjectReference) map[string]bool {
	if principal(user) == principal(v.options.Admin.Name) {
		return v.rolePrivileges(ctx, adminRole)
	}
	all := map[string]bool{}
	e, ok := v.registry().Get(ref).(mo.Entity)
	if !ok { // no object of the inventory: what counts is the vCenter itself
		e = v.root()
	}
	maps.Copy(all, v.inherited(ctx, user, e))
	if vm, ok := e.(*simulator.VirtualMachine); ok && vm.ResourcePool != nil {
		if p, ok := v.registry().Get(*vm.ResourcePool).(mo.Entity); ok {
			for id := range v.above(ctx, user, p, false) {
				all[id] = true
			}
		}
	}
	return all
}

func (v *VCenter) root() mo.Entity {
	return v.registry().Get(v.model.RootFolder.Self).(mo.Entity)
}

func (v *VCenter) inherited(ctx *simulator.Context, user string, e mo.Entity) map[string]bool {
	return v.above(ctx, user, e, true)
}

// above walks from an object to the root and returns the privileges of the
// first permission it meets: the object's own, or one that propagates.
func (v *VCenter) above(ctx *simulator.Context, user string, e mo.Entity, own bool) map[string]bool {
	for e != nil {
		all, found := map[string]bool{}, false
		for _, p := range v.permissions(ctx, e) {
			if p.Group || principal(p.Principal) != principal(user) || (!own && !p.Propagate) {
				continue
			}
			found = true
			maps.Copy(all, v.rolePrivileges(ctx, p.RoleId))
		}
		if found {
			return all
		}
		parent := e.Entity().Parent
		if parent == nil {
			break
		}
		e, _ = v.registry().Get(*parent).(mo.Entity)
		own = false
	}
	return nil
}

func (v *VCenter) authorizationManager() *simulator.AuthorizationManager {
	return v.registry().Get(*v.model.ServiceContent.AuthorizationManager).(*simulator.AuthorizationManager)
}

func (v *VCenter) permissions(ctx *simulator.Context, e mo.Entity) (list []types.Permission) {
	m := v.authorizationManager()
	ctx.WithLock(m, func() {
		body := m.RetrieveEntityPermissions(ctx, &types.RetrieveEntityPermissions{Entity: e.Reference()})
		list = slices.Clone(body.(*methods.RetrieveEntityPermissionsBody).Res.Returnval)
	})
	return list
}

// adminRole is the id of the role that has every privilege.
const adminRole = -1

func (v *VCenter) rolePrivileges(ctx *simulator.Context, id int32) map[string]bool {
	all := map[string]bool{}
	m := v.authorizationManager()
	ctx.WithLock(m, func() {
		for _, r := range m.RoleList {
			if r.RoleId == id {
				for _, p := range r.Privilege {
					all[p] = true
				}
			}
		}
	})
	return all
}

// authorization answers what the simulator answers with yes.
type authorization struct {
	*simulator.AuthorizationManager
	v *VCenter
}

// privilegesAnswer is an answer whose list keeps what is false: the client
// library's own leaves it out.
type privilegesAnswer struct {
	Res    *privilegesList `xml:"urn:vim25 HasPrivilegeOnEntityResponse,omitempty"`
	Fault_ *soap.Fault     `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"` //nolint:revive // as the others name it
}

type privilegesList struct {
	Returnval []bool `xml:"returnval"`
}

// Fault returns the fault of the answer.
func (a *privilegesAnswer) Fault() *soap.Fault { return a.Fault_ }

// HasPrivilegeOnEntity answers for the user of a session.
func (a *authorization) HasPrivilegeOnEntity(ctx *simulator.Context, req *types.HasPrivilegeOnEntity) soap.HasFault {
	granted := a.v.granted(ctx, a.sessionUser(req.SessionId), req.Entity)
	res := &privilegesList{}
	for _, id := range req.PrivId {
		res.Returnval = append(res.Returnval, granted[id])
	}
	return &privilegesAnswer{Res: res}
}

// HasPrivilegeOnEntities answers for the user of a session.
func (a *authorization) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{
		Returnval: a.availability(ctx, a.sessionUser(req.SessionId), req.Entity, req.PrivId),
	}}
}

// HasUserPrivilegeOnEntities answers for a user by name.
func (a *authorization) HasUserPrivilegeOnEntities(ctx *simulator.Context, req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	return &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{
		Returnval: a.availability(ctx, req.UserName, req.Entities, req.PrivId),
	}}
}

// FetchUserPrivilegeOnEntities lists a user's privileges.
func (a *authorization) FetchUserPrivilegeOnEntities(ctx *simulator.Context, req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	res := &types.FetchUserPrivilegeOnEntitiesResponse{}
	for _, ref := range req.Entities {
		res.Returnval = append(res.Returnval, types.UserPrivilegeResult{
			Entity: ref, Privileges: slices.Sorted(maps.Keys(a.v.granted(ctx, req.UserName, ref))),
		})
	}
	return &methods.FetchUserPrivilegeOnEntitiesBody{Res: res}
}

func (a *authorization) availability(ctx *simulator.Context, user string, refs []types.ManagedObjectReference, ids []string) []types.EntityPrivilege {
	var list []types.EntityPrivilege
	for _, ref := range refs {
		granted := a.v.granted(ctx, user, ref)
		e := types.EntityPrivilege{Entity: ref}
		for _, id := range ids {
			e.PrivAvailability = append(e.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: granted[id]})
		}
		list = append(list, e)
	}
	return list
}

func (a *authorization) sessionUser(id string) string {
	for _, s := range a.v.Sessions() {
		if s.Key == id {
			return s.UserName
		}
	}
	return ""
}

// AddAuthorizationRole gives each role an id of its own and returns it, which
// the simulator forgets.
func (a *authorization) AddAuthorizationRole(req *types.AddAuthorizationRole) soap.HasFault {
	body := a.AuthorizationManager.AddAuthorizationRole(req).(*methods.AddAuthorizationRoleBody)
	if body.Fault_ != nil {
		return body
	}
	last := &a.RoleList[len(a.RoleList)-1]
	for _, r := range a.RoleList[:len(a.RoleList)-1] {
		last.RoleId = max(last.RoleId, r.RoleId+1)
	}
	body.Res.Returnval = last.RoleId
	return body
}

// SetEntityPermissions keeps the permissions of others on the entity.
func (a *authorization) SetEntityPermissions(ctx *simulator.Context, req *types.SetEntityPermissions) soap.HasFault {
	body := a.RetrieveEntityPermissions(ctx, &types.RetrieveEntityPermissions{Entity: req.Entity})
	list := slices.Clone(body.(*methods.RetrieveEntityPermissionsBody).Res.Returnval)
	for _, p := range req.Permission {
		p.Entity = &req.Entity
		list = slices.DeleteFunc(list, func(o types.Permission) bool {
			return o.Group == p.Group && principal(o.Principal) == principal(p.Principal)
		})
		list = append(list, p)
	}
	return a.AuthorizationManager.SetEntityPermissions(&types.SetEntityPermissions{This: req.This, Entity: req.Entity, Permission: list})
}
