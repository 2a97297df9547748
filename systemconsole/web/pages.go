package web

import "net/http"

// LoginPage asks for name and password.
type LoginPage struct {
	Frame
	Name string // as it was entered
	Next string // where to go afterwards
}

// Template names the template.
func (LoginPage) Template() string { return "login" }

// ForgotPage asks whose password was forgotten.
type ForgotPage struct {
	Frame
	Tenant  bool // its users are asked, not those of the console
	CanMail bool
	Asked   bool // the name was sent
}

// Template names the template.
func (ForgotPage) Template() string { return "forgot" }

// PasswordPage asks for a new password. It is all that a session for it shows.
type PasswordPage struct {
	Frame
	Path   string // that the form is sent to
	Name   string // with which its owner logs in
	Next   string // where to go afterwards; empty where the path says
	Forced bool   // it must be changed before anything else
}

// Template names the template.
func (PasswordPage) Template() string { return "password" }

// ErrorPage says what went wrong.
type ErrorPage struct {
	Frame
	Status   int
	Message  string
	Remedies []string
	Request  string // number of the request in the server's log
}

// Leads tells whether the page leads on. Who has a link that is no longer valid
// may be a user of any tenant: nobody knows where to.
func (p ErrorPage) Leads() bool { return p.Status != http.StatusGone }

// Template names the template.
func (ErrorPage) Template() string { return "error" }
