package systemconsole

import (
	"context"
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
)

// Account is an account as the API shows it.
type Account struct {
	Name         string    `json:"name"`
	FullName     string    `json:"fullName"`
	Email        string    `json:"email"`
	Role         auth.Role `json:"role"`
	Disabled     bool      `json:"disabled"`
	Locked       bool      `json:"locked"`
	HasPassword  bool      `json:"hasPassword"`
	SecondFactor bool      `json:"secondFactor"`
	LastLogin    time.Time `json:"lastLogin,omitzero"`
}

// AccountList is a page of accounts.
type AccountList struct {
	Accounts []Account `json:"accounts"`
	Continue string    `json:"continue,omitempty"`
}

// AccountChange is what can be changed of an account.
type AccountChange struct {
	FullName string    `json:"fullName"`
	Email    string    `json:"email"`
	Role     auth.Role `json:"role"`
}

// Reset says how far an account is reset.
type Reset struct {
	SecondFactor bool `json:"secondFactor"` // turn it off: the authenticator is lost
}

// Token is a token as the API shows it.
type Token struct {
	Name    string            `json:"name"`
	Label   string            `json:"label"`
	Scopes  []auth.Permission `json:"scopes,omitempty"`
	Created time.Time         `json:"created"`
	Expires time.Time         `json:"expires"`
	Parent  string            `json:"parent,omitempty"` // name of the token that made it, and that it ends with
	Token   string            `json:"token,omitempty"`  // shown once, when it is made
}

// TokenList is the tokens of an account.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// accountCalls are those of accounts and of the own tokens, for programs.
func (s *Server) accountCalls() []route {
	return []route{
		call("GET /accounts", auth.ReadAccounts, "List accounts", s.apiAccounts, pageParameters()...),
		call("POST /accounts", auth.WriteAccounts, "Create an account, and get the link for its owner", s.apiCreateAccount),
		call("GET /accounts/{name}", auth.ReadAccounts, "Show an account", s.apiAccount),
		call("PUT /accounts/{name}", auth.WriteAccounts, "Change an account", s.apiUpdateAccount),
		call("POST /accounts/{name}/disable", auth.WriteAccounts, "Keep the owner of an account out", toAccount(s.auth.DisableAccount)),
		call("POST /accounts/{name}/enable", auth.WriteAccounts, "Let in again, and end a lock", toAccount(s.auth.EnableAccount)),
		call("POST /accounts/{name}/reset", auth.WriteAccounts, "Get a link for a new password", s.apiReset),
		call("DELETE /accounts/{name}", auth.WriteAccounts, "Delete an account", toAccount(s.auth.DeleteAccount)),
		call("GET /tokens", auth.Self, "List the own tokens", s.apiTokens),
		call("POST /tokens", auth.Self, "Make a token that can do no more than this one, and ends with it", s.apiCreateToken),
		call("DELETE /tokens/{name}", auth.Self, "Revoke an own token", s.apiRevokeToken),
	}
}

// toAccount makes a call of what is done to the account in the path.
func toAccount(do func(ctx context.Context, id auth.Identity, name string) error) func(*http.Request, nothing) (nothing, error) {
	return func(r *http.Request, _ nothing) (nothing, error) {
		return nothing{}, do(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"))
	}
}

func (s *Server) accountOf(item store.Item[auth.Account]) Account {
	v := item.Value
	return Account{Name: item.Name, FullName: v.FullName, Email: v.Email, Role: v.Role, Disabled: v.Disabled, Locked: v.Lock.Locked(s.now()),
		HasPassword: v.Credential.Hash != "", SecondFactor: v.Factor.On(), LastLogin: v.LastLogin}
}

func (s *Server) apiAccounts(r *http.Request, _ nothing) (AccountList, error) {
	page, next, err := listed(r, s.auth.Accounts, s.accountOf)
	return AccountList{Accounts: page, Continue: next}, err
}

func (s *Server) apiCreateAccount(r *http.Request, d auth.Draft) (Link, error) {
	secret, err := s.auth.CreateAccount(r.Context(), auth.IdentityOf(r.Context()), d)
	if err != nil {
		return Link{}, err
	}
	return s.handAccountLink(r, d.Name, secret)
}

func (s *Server) apiAccount(r *http.Request, _ nothing) (Account, error) {
	item, err := s.auth.Account(r.Context(), r.PathValue("name"))
	return s.accountOf(item), err
}

func (s *Server) apiUpdateAccount(r *http.Request, in AccountChange) (nothing, error) {
	d := auth.Draft{Name: r.PathValue("name"), FullName: in.FullName, Email: in.Email, Role: in.Role}
	return nothing{}, s.auth.UpdateAccount(r.Context(), auth.IdentityOf(r.Context()), d)
}

func (s *Server) apiReset(r *http.Request, in Reset) (Link, error) {
	secret, err := s.auth.ResetAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), in.SecondFactor)
	if err != nil {
		return Link{}, err
	}
	return s.handAccountLink(r, r.PathValue("name"), secret)
}

func tokenOf(item store.Item[auth.Token]) Token {
	return Token{Name: item.Name, Label: item.Value.Label, Scopes: item.Value.Scopes, Created: item.Value.Created, Expires: item.Value.Expires, Parent: item.Value.Parent}
}

func (s *Server) apiTokens(r *http.Request, _ nothing) (TokenList, error) {
	list := TokenList{Tokens: []Token{}}
	items, err := s.auth.Tokens(r.Context(), auth.IdentityOf(r.Context()).Account)
	for _, item := range items {
		list.Tokens = append(list.Tokens, tokenOf(item))
	}
	return list, err
}

func (s *Server) apiCreateToken(r *http.Request, n auth.NewToken) (Token, error) {
	text, item, err := s.auth.CreateToken(r.Context(), auth.IdentityOf(r.Context()), n)
	out := tokenOf(item)
	out.Token = text
	return out, err
}

func (s *Server) apiRevokeToken(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.auth.RevokeToken(r.Context(), auth.IdentityOf(r.Context()).Account, r.PathValue("name"))
}
