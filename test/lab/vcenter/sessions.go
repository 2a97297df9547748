package vcenter

import (
	"context"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// SetPassword gives a user another password. Sessions that are open stay open.
func (v *VCenter) SetPassword(name, password string) {
	v.passwords.Store(principal(name), password)
}

func (v *VCenter) validLogin(req *types.Login) bool {
	if now, ok := v.passwords.Load(principal(req.UserName)); ok {
		return now == req.Password
	}
	users := append([]User{v.options.Admin}, v.options.Inventory.Users...)
	return slices.ContainsFunc(users, func(u User) bool {
		return principal(u.Name) == principal(req.UserName) && u.Password == req.Password && req.Password != ""
	})
}

// principal makes one spelling of user@domain and DOMAIN\user.
func principal(name string) string {
	name = strings.ToLower(name)
	if domain, user, ok := strings.Cut(name, `\`); ok {
		return user + "@" + domain
	}
	return name
}

// Sessions returns the SOAP sessions that are open, so that tests can see that
// none leaks.
func (v *VCenter) Sessions() []types.UserSession {
	s := simulator.Session{Registry: simulator.NewRegistry(), Map: v.registry()}
	return s.Get(v.registry().SessionManager().Self).(*simulator.SessionManager).SessionList
}

// ExpireSessions ends every session, SOAP and REST, as time would.
func (v *VCenter) ExpireSessions(ctx context.Context) {
	own := v.own(ctx)
	own.Session = &simulator.Session{}
	for _, s := range v.Sessions() {
		v.registry().SessionManager().TerminateSession(own, &types.TerminateSession{SessionId: []string{s.Key}})
	}
	v.rest.expire()
}

// user returns who calls; ok is false for v's own calls, which may do
// anything.
func (v *VCenter) user(ctx *simulator.Context) (name string, ok bool) {
	if ctx.Session == nil || ctx.Session.UserName == "" {
		return "", false
	}
	return ctx.Session.UserName, true
}
