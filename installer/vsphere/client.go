// Package vsphere is what the installer asks of a vCenter: a session that is
// always ended, places of the inventory by name with near misses, privileges,
// capacity, tags, templates and clocks. It is a thin layer over govmomi that
// speaks the words of a site.
package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of a vCenter's answers, to be matched with errors.Is.
var (
	ErrLogin     = errors.New("the vCenter refuses user name or password")
	ErrForbidden = errors.New("the vCenter does not permit it")
)

// Options is how a vCenter is reached. The zero value trusts what the system
// trusts.
type Options struct {
	CAFile     string // PEM; trusted besides the system's
	Thumbprint string // SHA-1 or SHA-256 of the certificate, as AA:BB:..., instead of CAFile
}

// User is who logs in.
type User struct{ Name, Password string }

// Client is one session at a vCenter. It is safe for many goroutines.
type Client struct {
	vim     *vim25.Client
	session *session.Manager
	user    User

	mu   sync.Mutex // held while rest begins its session
	rest *rest.Client
}

// About is what a vCenter says of itself.
type About struct {
	Name    string // in full, such as VMware vCenter Server 8.0.3 build-24322831
	Version string // such as 8.0.3
	API     string // such as vpx's HostAgent or VirtualCenter
}

// logoutTimeout is how long the end of a session may take.
const logoutTimeout = 5 * time.Second

// Connect logs in once: a refused password is not tried again, lest the account
// be locked. It fails with ErrLogin, or with an error of Handshake. The caller
// ends the session with Close.
func Connect(ctx context.Context, server string, user User, options Options) (*Client, error) {
	vim, err := dial(ctx, server, options)
	if err != nil {
		return nil, err
	}
	c := &Client{vim: vim, session: session.NewManager(vim), rest: rest.NewClient(vim), user: user}
	if err := c.session.Login(ctx, url.UserPassword(user.Name, user.Password)); err != nil {
		vim.CloseIdleConnections()
		return nil, fmt.Errorf("logging in to %s as %s: %w", server, user.Name, loginError(err))
	}
	return c, nil
}

// dial reads what the vCenter says of itself, which needs no session.
func dial(ctx context.Context, server string, options Options) (*vim25.Client, error) {
	config, err := tlsConfig(server, options)
	if err != nil {
		return nil, err
	}
	sc := soap.NewClient(&url.URL{Scheme: "https", Host: Address(server), Path: "/sdk"}, false)
	sc.DefaultTransport().TLSClientConfig = config
	sc.UserAgent = "sealift/" + buildinfo.Version()
	vim, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", server, handshakeError(server, err))
	}
	return vim, nil
}

// Address returns HOST:PORT of a server that may be written without its port.
func Address(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "443")
}

func loginError(err error) error {
	if fault.Is(err, &types.InvalidLogin{}) {
		return problem.New(problem.Failed, "check user name (user@domain) and password; it was tried once, so that the account is not locked", "%w", ErrLogin)
	}
	if fault.Is(err, &types.NoPermission{}) {
		return problem.New(problem.Failed, "give the user a role on the vCenter: docs/install.md lists the privileges", "%w to log in", ErrForbidden)
	}
	return err
}

// Close ends the session. It does so also when ctx is done already.
func (c *Client) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	err := c.session.Logout(ctx)
	if c.rest.SessionID() != "" {
		err = errors.Join(c.rest.Logout(ctx), err)
	}
	c.vim.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("ending the session at %s: %w", c.vim.URL().Host, err)
	}
	return nil
}

// Renew begins a new session when the vCenter has ended this one, as it does
// when it restarts, and tells whether it did. The password is tried once.
func (c *Client) Renew(ctx context.Context) (renewed bool, err error) {
	now, err := c.session.UserSession(ctx)
	if now != nil || err != nil {
		return false, err
	}
	if err := c.session.Login(ctx, url.UserPassword(c.user.Name, c.user.Password)); err != nil {
		return false, fmt.Errorf("logging in to %s again as %s: %w", c.vim.URL().Host, c.user.Name, loginError(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = rest.NewClient(c.vim)
	return true, nil
}

// Starting tells whether a vCenter answered that it is not ready yet: that its
// services start.
func Starting(err error) bool {
	var request *url.Error
	if !errors.As(err, &request) {
		return false
	}
	text := request.Err.Error() // govmomi says the status only in words
	return strings.HasPrefix(text, "502 ") || strings.HasPrefix(text, "503 ")
}

// About returns what the vCenter says of itself.
func (c *Client) About() About {
	about := c.vim.ServiceContent.About
	return About{Name: about.FullName, Version: about.Version, API: about.ApiType}
}

// Vim returns the SOAP client, for what this package does not do.
func (c *Client) Vim() *vim25.Client { return c.vim }

// tags returns the manager of tags. Those have a session of their own, which
// is begun when it is first needed, with the password that was accepted.
func (c *Client) tags(ctx context.Context) (*tags.Manager, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rest.SessionID() == "" {
		if err := c.rest.Login(ctx, url.UserPassword(c.user.Name, c.user.Password)); err != nil {
			return nil, fmt.Errorf("logging in for tags: %w", err)
		}
	}
	return tags.NewManager(c.rest), nil
}
