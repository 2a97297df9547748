package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

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
	resp, err := c.get(ctx, host, "/v2/", nil)
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

// get asks a registry's host without the layer that fetches tokens.
func (c *Client) get(ctx context.Context, host, path string, prepare func(*http.Request)) (*http.Response, error) {
	scheme := "https"
	if c.plainHTTP(host) {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+path, nil)
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		prepare(req)
	}
	return (&http.Client{Transport: c.http.Client.Transport, CheckRedirect: noRedirect}).Do(req)
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

// Project is what Harbor says of a project.
type Project struct {
	Exists bool
	// Creatable tells whether the user may make it.
	Creatable bool
}

// maxAPIAnswer is how much of an answer of Harbor's API is read.
const maxAPIAnswer = 1 << 20

// HarborProject asks Harbor for a project. Its error has Harbor's own words. It
// returns nil when the registry is no Harbor.
func (c *Client) HarborProject(ctx context.Context, host, project string) (*Project, error) {
	var info struct {
		HarborVersion       string `json:"harbor_version"`
		CreationRestriction string `json:"project_creation_restriction"`
	}
	status, err := c.harbor(ctx, host, "/api/v2.0/systeminfo", &info)
	if err != nil || status != http.StatusOK || (info.HarborVersion == "" && info.CreationRestriction == "") {
		return nil, nil //nolint:nilerr,nilnil // who does not answer this way is no Harbor
	}
	out := &Project{Creatable: info.CreationRestriction == "everyone"}
	status, err = c.harbor(ctx, host, "/api/v2.0/projects/"+url.PathEscape(project), nil)
	switch status {
	case http.StatusOK:
		out.Exists = true
		return out, nil
	case http.StatusNotFound, http.StatusForbidden:
	default:
		return nil, fmt.Errorf("asking Harbor at %s for project %s: %w", host, project, err)
	}
	var user struct {
		SysAdmin bool `json:"sysadmin_flag"`
	}
	if status, err := c.harbor(ctx, host, "/api/v2.0/users/current", &user); err == nil && status == http.StatusOK && user.SysAdmin {
		out.Creatable = true
	}
	return out, nil
}

// harbor asks Harbor's API and reads its answer. The error has Harbor's words;
// the status is 0 when there was no answer.
func (c *Client) harbor(ctx context.Context, host, path string, into any) (int, error) {
	credential, err := c.http.Credential(ctx, host)
	if err != nil {
		return 0, err
	}
	resp, err := c.get(ctx, host, path, func(req *http.Request) {
		if credential.Username != "" {
			req.SetBasicAuth(credential.Username, credential.Password)
		}
		req.Header.Set("X-Is-Resource-Name", "true")
	})
	if err != nil {
		return 0, c.at(host).meaning(err)
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != http.StatusOK {
		failed, _ := responseError(resp).(*errcode.ErrorResponse) //nolint:errorlint // it is made there
		return resp.StatusCode, c.at(host).answer(failed)
	}
	if into == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.NewDecoder(io.LimitReader(resp.Body, maxAPIAnswer)).Decode(into)
}
