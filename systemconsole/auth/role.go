package auth

import (
	"context"
	"slices"

	"github.com/sealift/sealift/systemconsole/store"
)

// Role is what an account is for.
type Role string

// The roles.
const (
	Root         Role = "root"
	Operations   Role = "operations"
	AccountAdmin Role = "account-administrator"
)

// Roles returns every role of an account of the console.
func Roles() []Role { return []Role{Root, Operations, AccountAdmin} }

// Permission is one thing that may be done.
type Permission string

// The permissions. What may be changed may be read.
const (
	ReadTenants     Permission = "tenants.read"
	WriteTenants    Permission = "tenants.write"
	ReadCluster     Permission = "cluster.read"
	WriteCluster    Permission = "cluster.write"
	ReadRegistries  Permission = "registries.read"
	WriteRegistries Permission = "registries.write"
	ReadSettings    Permission = "settings.read"
	WriteSettings   Permission = "settings.write"
	ReadAccounts    Permission = "accounts.read"
	WriteAccounts   Permission = "accounts.write"
	ReadAudit       Permission = "audit.read"
	// WriteSecurity is what decides who gets in: the policy of passwords and
	// sessions, the server that links are mailed through, and bringing back a
	// backup with all its accounts. It is root's alone, for each of these is a
	// way to become root.
	WriteSecurity Permission = "security.write"
	// Self is what everybody may do: see the summary and the own account.
	Self Permission = "self"
)

// Permissions returns every permission.
func Permissions() []Permission {
	return []Permission{ReadTenants, WriteTenants, ReadCluster, WriteCluster, ReadRegistries, WriteRegistries,
		ReadSettings, WriteSettings, WriteSecurity, ReadAccounts, WriteAccounts, ReadAudit, Self}
}

// Permissions returns what a role may do; nothing for a role that is none.
func (r Role) Permissions() []Permission {
	switch r {
	case Root:
		return Permissions()
	case Operations:
		return []Permission{ReadTenants, WriteTenants, ReadCluster, WriteCluster, ReadRegistries, WriteRegistries,
			ReadSettings, WriteSettings, ReadAudit, Self}
	case AccountAdmin:
		return []Permission{ReadAccounts, WriteAccounts, ReadAudit, Self}
	default:
		return nil
	}
}

// Identity is who makes a request.
type Identity struct {
	Account     string // login name of an account of the console
	Role        Role
	Permissions []Permission // the role's, or fewer for a token
	Session     string       // name of the session; empty for a token
	FormToken   string       // what forms of this session carry
	Tenant      string       // for a tenant's user: the name of the tenant; Account is the user then

	session Session           // the zero value for a token
	token   store.Item[Token] // the zero value for a session
}

// Of tells whether the identity's session began with the password that a
// credential has now.
func (i Identity) Of(c Credential) bool { return i.session.of(c) }

// May tells whether the identity has a permission.
func (i Identity) May(p Permission) bool { return slices.Contains(i.Permissions, p) }

type identityKey struct{}

// WithIdentity returns a context of a request by i.
func WithIdentity(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// IdentityOf returns who makes the request of ctx; the zero value is nobody.
func IdentityOf(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity) // nobody when there is none
	return i
}
