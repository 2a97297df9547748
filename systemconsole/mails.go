package systemconsole

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// setMail keeps how mails are sent. With an address it sends a test mail first.
func (s *Server) setMail(ctx context.Context, m settings.Mail, to string) error {
	m, err := s.settings.PrepareMail(ctx, m)
	if err != nil {
		return err
	}
	if to != "" {
		if err := s.settings.Send(ctx, m, testMail(to)); err != nil {
			return form.Fail("to", "%s", err)
		}
	}
	return s.settings.SetMail(ctx, m)
}

func testMail(to string) settings.Message {
	return settings.Message{To: to, Subject: "Test of the sealift console", Text: "The console can send mail.\n"}
}

// recipient is whom a link is for.
type recipient struct {
	object string // kind and name, for the record of changes
	email  string // empty when none is known
	what   string // the account, as the mail calls it
	asked  bool   // by the owner, who forgot the password
}

// hand gives a link to whom it is for: by mail when the console can, else it
// is returned, for the administrator to show it once.
func (s *Server) hand(r *http.Request, secret string, to recipient) Link {
	l := s.linkTo(r, secret)
	m := s.current(r.Context()).Mail
	if m.Host == "" || to.email == "" {
		return l
	}
	if err := s.mailLink(r.Context(), m, secret, to); err != nil {
		s.log.WarnContext(r.Context(), "mailing a link failed", "to", to.object, "error", err)
		l.Failure = err.Error()
		return l
	}
	l.URL, l.SentTo = "", to.email
	return l
}

// mailLink mails a link to whom it is for. Its address is the one of the
// settings: who makes a request can put any into it.
func (s *Server) mailLink(ctx context.Context, m settings.Mail, secret string, to recipient) error {
	base, err := url.Parse(m.URL)
	if err != nil {
		return fmt.Errorf("reading the console's address: %w", err)
	}
	e := audit.Event{Action: "link.mail", Object: to.object}
	return s.audit.Do(ctx, e, func() error {
		return s.settings.Send(ctx, m, linkMail(to, base.JoinPath("link", secret).String(), s.now().Add(auth.LinkLife)))
	})
}

func linkMail(to recipient, address string, until time.Time) settings.Message {
	why := "An administrator made this link for you. With it you set the password of"
	if to.asked {
		why = "Somebody, perhaps you, asked for a new password. If it was not you, ignore this mail: nothing has changed.\n\nWith this link you set the password of"
	}
	text := fmt.Sprintf("%s %s:\n\n%s\n\nIt works once, until %s.\n", why, to.what, address, until.UTC().Format("2 January 2006 15:04 UTC"))
	return settings.Message{To: to.email, Subject: "Set your password", Text: text}
}

func accountRecipient(name, email string) recipient {
	return recipient{object: auth.AccountKind + "/" + name, email: email, what: "the account " + name + " of the sealift system console"}
}

// handAccountLink gives the link of an account to its owner.
func (s *Server) handAccountLink(r *http.Request, name, secret string) (Link, error) {
	item, err := s.auth.Account(r.Context(), name)
	if err != nil {
		return Link{}, err
	}
	return s.hand(r, secret, accountRecipient(name, item.Value.Email)), nil
}

// handTenantLink gives the link of a tenant's first administrator to them.
func (s *Server) handTenantLink(r *http.Request, name, secret string) (Link, error) {
	item, err := s.tenants.Get(r.Context(), name)
	if err != nil {
		return Link{}, err
	}
	first, err := s.tenants.FirstAdministrator(r.Context(), item)
	if err != nil {
		return Link{}, err
	}
	return s.hand(r, secret, userRecipient(item.Value, first)), nil
}

// handUserLink gives the link of a tenant's user to them. It returns the user,
// too.
func (s *Server) handUserLink(r *http.Request, name, user, secret string) (tenant.UserView, Link, error) {
	u, err := s.tenants.User(r.Context(), name, user)
	if err != nil {
		return u, Link{}, err
	}
	item, err := s.tenants.Get(r.Context(), name)
	if err != nil {
		return u, Link{}, err
	}
	return u, s.hand(r, secret, userRecipient(item.Value, u)), nil
}

func userRecipient(of tenant.Tenant, u tenant.UserView) recipient {
	what := fmt.Sprintf("your account at %s (%s)", of.Organization, u.Tenant)
	return recipient{object: tenant.UserKind + "/" + u.Name, email: u.Person.Email, what: what}
}
