package systemconsole

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/web"
)

// errTooMany is for who asks too often.
var errTooMany = errors.New("that was asked for too often from your address: wait a few minutes")

const (
	// askedBurst is how often one address may ask for links in a row, and
	// askedEvery how often after that.
	askedBurst = 5
	askedEvery = time.Minute
	// askedAddresses is how many addresses are counted; with more of them
	// counting begins anew.
	askedAddresses = 10_000
	// askedWaiting is how many who forgot a password can wait for their mail.
	askedWaiting = 32
)

// asked is somebody who forgot a password.
type asked struct {
	tenant string // empty for an account of the console
	name   string // of the account, or the e-mail address of the tenant's user
	actor  audit.Actor
}

// mayAsk counts those who ask by their address.
func (s *Server) mayAsk(source string) bool {
	s.askers.Lock()
	defer s.askers.Unlock()
	if len(s.askers.of) >= askedAddresses {
		clear(s.askers.of)
	}
	l, ok := s.askers.of[source]
	if !ok {
		l = rate.NewLimiter(rate.Every(askedEvery), askedBurst)
		s.askers.of[source] = l
	}
	return l.Allow()
}

// forgotForm asks whose password was forgotten.
func (s *Server) forgotForm(w http.ResponseWriter, r *http.Request) error {
	return s.showForgot(w, r, false)
}

func (s *Server) showForgot(w http.ResponseWriter, r *http.Request, asked bool) error {
	return s.render(w, web.ForgotPage{Frame: s.outside(r, "Forgot your password?"), Tenant: r.PathValue("tenant") != "",
		CanMail: s.current(r.Context()).Mail.Host != "", Asked: asked})
}

// forgot takes a name and answers the same, after the same time, whatever it
// is: the account, or the tenant and its user, are looked for afterwards.
func (s *Server) forgot(w http.ResponseWriter, r *http.Request) error {
	if !s.mayAsk(source(r)) {
		return errTooMany
	}
	select {
	case s.asked <- asked{r.PathValue("tenant"), r.PostForm.Get("name"), audit.ActorOf(r.Context())}:
	default:
		s.log.WarnContext(r.Context(), "too many ask for new passwords; one was left out")
	}
	return s.showForgot(w, r, true)
}

// answerAsked mails links to those who asked, one after the other, until ctx
// is done.
func (s *Server) answerAsked(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.asked:
			if err := s.mailForgotten(audit.WithActor(ctx, a.actor), a); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "mailing a link for a forgotten password failed", "error", err)
			}
		}
	}
}

func (s *Server) mailForgotten(ctx context.Context, a asked) error {
	m := s.current(ctx).Mail
	if m.Host == "" {
		return nil
	}
	to, secret, err := s.forgotten(ctx, a)
	if err != nil || secret == "" {
		return err
	}
	to.asked = true
	return s.mailLink(ctx, m, secret, to)
}

// forgotten makes a link for who forgot a password; its secret is empty when
// there is none for them.
func (s *Server) forgotten(ctx context.Context, a asked) (to recipient, secret string, err error) {
	if a.tenant != "" {
		u, secret, err := s.tenants.Forgotten(ctx, a.tenant, a.name)
		if err != nil || secret == "" {
			return recipient{}, "", err
		}
		item, err := s.tenants.Get(ctx, a.tenant)
		return userRecipient(item.Value, u), secret, err
	}
	f, err := s.auth.Forgotten(ctx, a.name)
	return accountRecipient(a.name, f.Email), f.Secret, err
}
