package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// Greeting is how a registry answers somebody who has not logged in.
type Greeting struct {
	Status    int
	Challenge string    // the WWW-Authenticate header; "" when no login is asked for
	Realm     *url.URL  // that a token is to be had from; nil when none is
	Service   string    // that the token is for
	Date      time.Time // by the registry's clock; zero when it does not say
}

// Greet asks for the root of a registry's API, without credentials.
func (c *Client) Greet(ctx context.Context, host string) (*Greeting, error) {
	resp, err := c.send(ctx, host, "/v2/", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", host, c.at(host).meaning(err))
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return nil, problem.New(problem.Failed, "check host and port: this should be a registry", "asking %s: %w", host, c.at(host).meaning(responseError(resp)))
	}
	g := &Greeting{Status: resp.StatusCode, Challenge: resp.Header.Get("WWW-Authenticate")}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		g.Date = at
	}
	if scheme, _, _ := strings.Cut(g.Challenge, " "); strings.EqualFold(scheme, "Bearer") {
		g.Realm, _ = url.Parse(parameter(g.Challenge, "realm"))
		g.Service = parameter(g.Challenge, "service")
	}
	return g, nil
}

// parameter returns a quoted parameter of a challenge.
func parameter(challenge, name string) string {
	_, rest, ok := strings.Cut(challenge, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// noRedirect lets no credentials follow to another place.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// at stands for a registry where no repository is meant.
func (c *Client) at(host string) *Repository {
	r := &remote.Repository{PlainHTTP: c.plainHTTP(host)}
	r.Reference.Registry = host
	return &Repository{client: c, oras: r}
}

// TryPush begins an upload and cancels it: it needs all that a push needs, and
// leaves nothing. canceled is false when the registry does not let uploads be
// canceled and clears them away by itself.
func (r *Repository) TryPush(ctx context.Context) (canceled bool, err error) {
	u := &upload{r: r}
	answer, err := u.do(ctx, http.MethodPost, r.base+"/blobs/uploads/", 0, 0, http.StatusAccepted)
	if err == nil {
		err = u.moveTo(answer)
	}
	if err != nil {
		return false, r.explain("beginning an upload to", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	w := retry.Watch(asUpload(ctx), cancelTimeout, r.client.opts.StallTimeout)
	defer w.Stop()
	req, err := r.request(w.Context, http.MethodDelete, u.location, nil)
	if err != nil {
		return false, r.explain("canceling an upload to", err)
	}
	resp, err := r.client.http.Do(req)
	if err != nil {
		return false, r.explain("canceling an upload to", w.Cause(err))
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	return resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusOK, nil
}

// cancelTimeout is how long a registry may take to cancel an upload.
const cancelTimeout = 10 * time.Second
