package web

import (
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"

	"github.com/sealift/sealift/systemconsole/tenant"
)

// Usage is what is used of one limit.
type Usage struct {
	Label string
	Used  string // with its unit; empty when it is not measured
	Of    string // the limit; empty when there is none
	Share int    // per cent of the limit, at most 100
	Full  bool
}

// UsageOf sets what a tenant uses beside its limits.
func UsageOf(u tenant.Usage, l tenant.Limits) []Usage {
	users := usage("Users", float64(u.Users), l.Users, "")
	places := []Usage{usage("CPU cores", u.CPU, l.CPU, ""), usage("Memory", u.MemoryGiB, l.MemoryGiB, "GiB"),
		usage("Storage", u.StorageGiB, l.StorageGiB, "GiB"), usage("Pods", float64(u.Pods), l.Pods, "")}
	if !u.Measured {
		for i := range places {
			places[i].Used, places[i].Share, places[i].Full = "", 0, false
		}
	}
	return append([]Usage{users}, places...)
}

func usage(label string, used float64, limit int, unit string) Usage {
	out := Usage{Label: label, Used: with(humanize.Ftoa(used), unit)}
	if limit == 0 {
		return out
	}
	out.Of = with(strconv.Itoa(limit), unit)
	out.Share = min(int(100*used/float64(limit)), 100)
	out.Full = used >= float64(limit)
	return out
}

func with(number, unit string) string {
	if unit == "" {
		return number
	}
	return fmt.Sprintf("%s %s", number, unit)
}

// TenantHomePage is the first of the tenant's own pages.
type TenantHomePage struct {
	Frame
	tenant.Visit
	May   bool    // manage users
	Usage []Usage // nothing when it is not known
}

// Template names the template.
func (TenantHomePage) Template() string { return "tenant-home" }

// TenantAccountPage is the own account of a tenant's user.
type TenantAccountPage struct {
	Frame
	tenant.Visit
}

// Template names the template.
func (TenantAccountPage) Template() string { return "tenant-account" }

// UserRow is a user of a tenant in a list.
type UserRow struct {
	tenant.UserView
	Status Status
	Own    bool // who looks
}

// TenantUsersPage lists the users of a tenant.
type TenantUsersPage struct {
	Frame
	Path         string // of the page
	Users        []UserRow
	Count, Limit int // of users; a limit of 0 is none
	Next         string
}

// Full tells whether nobody else can be invited.
func (p TenantUsersPage) Full() bool { return p.Limit > 0 && p.Count >= p.Limit }

// Template names the template.
func (TenantUsersPage) Template() string { return "tenant-users" }

// NewTenantUserPage asks whom to invite.
type NewTenantUserPage struct {
	Frame
	Path  string // of the list
	Draft tenant.UserDraft
	Roles []Option
}

// Template names the template.
func (NewTenantUserPage) Template() string { return "tenant-user-new" }

// TenantUserPage shows a user of a tenant.
type TenantUserPage struct {
	Frame
	Path  string // of the page
	User  UserRow
	Roles []Option
}

// Template names the template.
func (TenantUserPage) Template() string { return "tenant-user" }
