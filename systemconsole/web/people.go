package web

import (
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// SecondFactorPage asks for a code after the password.
type SecondFactorPage struct {
	Frame
	Next string // where to go afterwards
}

// Template names the template.
func (SecondFactorPage) Template() string { return "second-factor" }

// LinkPage asks for the password that a link lets set.
type LinkPage struct {
	Frame
	Secret string // of the link
	Reset  bool   // there was a password before
}

// Template names the template.
func (LinkPage) Template() string { return "link" }

// LinkMadePage shows a link once.
type LinkMadePage struct {
	Frame
	URL     string // empty when the link was mailed
	SentTo  string // address that it was mailed to
	Failure string // why it could not be mailed
	Whom    string // the link is for
	Back    Link
}

// Template names the template.
func (LinkMadePage) Template() string { return "link-made" }

// TenantsPage lists tenants.
type TenantsPage struct {
	Frame
	May     bool // change them
	Tenants []*store.Item[tenant.Tenant]
	Filter  string // what was asked for
	Pages   Pages
}

// Template names the template.
func (TenantsPage) Template() string { return "tenants" }

// NewTenantPage asks what a tenant is to be.
type NewTenantPage struct {
	Frame
	Draft tenant.Draft
}

// Template names the template.
func (NewTenantPage) Template() string { return "tenant-new" }

// TenantPage shows a tenant.
type TenantPage struct {
	Frame
	May    bool // change it
	Tenant store.Item[tenant.Tenant]
	First  tenant.Person // the first administrator; empty when there is none any more
	Limits tenant.Limits // as they were entered
	Usage  []Usage       // nothing when it is not known
	Why    string        // it is not known

	Measured bool // the cluster was asked
}

// Template names the template.
func (TenantPage) Template() string { return "tenant" }

// DeleteTenantPage asks for confirmation.
type DeleteTenantPage struct {
	Frame
	Name string
}

// Template names the template.
func (DeleteTenantPage) Template() string { return "tenant-delete" }

// DeletedTenantPage lists what a deletion removed.
type DeletedTenantPage struct {
	Frame
	Deletion tenant.Deletion
}

// Template names the template.
func (DeletedTenantPage) Template() string { return "tenant-deleted" }

// TenantLoginPage is where the users of a tenant log in.
type TenantLoginPage struct {
	Frame
	Email string // as it was entered
}

// Template names the template.
func (TenantLoginPage) Template() string { return "tenant-login" }

// AccountRow is an account in a list.
type AccountRow struct {
	store.Item[auth.Account]
	Status Status
	Locked bool
}

// AccountsPage lists accounts.
type AccountsPage struct {
	Frame
	May      bool
	Accounts []AccountRow
	Pages    Pages
}

// Template names the template.
func (AccountsPage) Template() string { return "accounts" }

// NewAccountPage asks what an account is to be.
type NewAccountPage struct {
	Frame
	Draft auth.Draft
	Roles []Option
}

// Template names the template.
func (NewAccountPage) Template() string { return "account-new" }

// AccountPage shows an account.
type AccountPage struct {
	Frame
	May     bool
	Own     bool // it is the own one
	Account AccountRow
	Draft   auth.Draft // as it was entered
	Roles   []Option
}

// Template names the template.
func (AccountPage) Template() string { return "account" }

// MePage shows the own account.
type MePage struct {
	Frame
	Account  store.Item[auth.Account]
	Current  string // name of this session
	Sessions []store.Item[auth.Session]
	Pages    Pages // of the sessions
	Tokens   []store.Item[auth.Token]
	Scopes   []auth.Permission // what a token may be given
	NewToken auth.NewToken     // as it was entered
}

// Template names the template.
func (MePage) Template() string { return "me" }

// FactorPage leads through turning the second factor on.
type FactorPage struct {
	Frame
	Setup auth.FactorSetup
}

// Template names the template.
func (FactorPage) Template() string { return "factor" }

// ShownOncePage shows secrets that are not kept: recovery codes, or a token.
type ShownOncePage struct {
	Frame
	Text    string
	Secrets []string
	Back    Link
}

// Template names the template.
func (ShownOncePage) Template() string { return "shown-once" }

// AuditPage shows the record of changes.
type AuditPage struct {
	Frame
	Records []audit.Record
	Before  uint64 // continues the list; 0 at its end
	Summary *audit.Summary
}

// Template names the template.
func (AuditPage) Template() string { return "audit" }
