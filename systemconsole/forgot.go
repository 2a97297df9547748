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
	account string
	actor   audit.Actor
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
	return s.render(w, web.ForgotPage{Frame: s.frame(r, "Forgot your password?", ""), CanMail: s.current(r.Context()).Mail.Host != ""})
}

// forgot takes a name and answers the same, after the same time, whatever it
// is: the account is looked for afterwards.
func (s *Server) forgot(w http.ResponseWriter, r *http.Request) error {
	if !s.mayAsk(source(r)) {
		return errTooMany
	}
	select {
	case s.asked <- asked{account: r.PostForm.Get("name"), actor: audit.ActorOf(r.Context())}:
	default:
		s.log.WarnContext(r.Context(), "too many ask for new passwords; one was left out")
	}
	return s.render(w, web.ForgotPage{Frame: s.frame(r, "Forgot your password?", ""), CanMail: s.current(r.Context()).Mail.Host != "", Asked: true})
}

// answerAsked mails links to those who asked, one after the other, until ctx
// is done.
func (s *Server) answerAsked(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.asked:
			if err := s.mailForgotten(audit.WithActor(ctx, a.actor), a.account); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "mailing a link for a forgotten password failed", "error", err)
			}
		}
	}
}

func (s *Server) mailForgotten(ctx context.Context, name string) error {
	m := s.current(ctx).Mail
	if m.Host == "" {
		return nil
	}
	f, err := s.auth.Forgotten(ctx, name)
	if err != nil || f.Secret == "" {
		return err
	}
	to := accountRecipient(name, f.Email)
	to.asked = true
	return s.mailLink(ctx, m, f.Secret, to)
}
