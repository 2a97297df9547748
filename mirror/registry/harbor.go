package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sealift/sealift/internal/problem"
)

// Project is what Harbor says of a project.
type Project struct {
	Exists bool
	// Creatable tells whether the user may make it.
	Creatable bool
}

// Paths of Harbor's API, version 2.0, and how much of an answer is read.
const (
	harborInfo     = "/api/v2.0/systeminfo"
	harborProjects = "/api/v2.0/projects"
	harborUser     = "/api/v2.0/users/current"
	maxAPIAnswer   = 1 << 20
)

// HarborProject asks Harbor for a project. Its error has Harbor's own words. It
// returns nil when the registry is no Harbor.
func (c *Client) HarborProject(ctx context.Context, host, project string) (*Project, error) {
	var info struct {
		HarborVersion       string `json:"harbor_version"`
		CreationRestriction string `json:"project_creation_restriction"`
	}
	status, err := c.harbor(ctx, host, harborInfo, nil, &info)
	if err != nil || status != http.StatusOK || (info.HarborVersion == "" && info.CreationRestriction == "") {
		return nil, nil //nolint:nilerr,nilnil // who does not answer this way is no Harbor
	}
	out := &Project{Creatable: info.CreationRestriction == "everyone"}
	status, err = c.harbor(ctx, host, harborProjects+"/"+url.PathEscape(project), nil, nil)
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
	if status, err := c.harbor(ctx, host, harborUser, nil, &user); err == nil && status == http.StatusOK && user.SysAdmin {
		out.Creatable = true
	}
	return out, nil
}

// MakeHarborProject makes a private project in a Harbor. One that is there
// already is as good. Its error has Harbor's own words.
func (c *Client) MakeHarborProject(ctx context.Context, host, project string) error {
	body, err := json.Marshal(map[string]any{"project_name": project, "metadata": map[string]string{"public": "false"}})
	if err != nil {
		return err
	}
	status, err := c.harbor(ctx, host, harborProjects, body, nil)
	switch status {
	case http.StatusCreated, http.StatusConflict:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return problem.New(problem.Failed, "ask an administrator of Harbor to make the project, or to let this user create projects",
			"making project %s in Harbor at %s: %w", project, host, err)
	default:
		return fmt.Errorf("making project %s in Harbor at %s: %w", project, host, err)
	}
}

// harbor asks Harbor's API and reads its answer; with a body it posts that. The
// error has Harbor's words; the status is 0 when there was no answer.
func (c *Client) harbor(ctx context.Context, host, path string, body []byte, into any) (int, error) {
	credential, err := c.http.Credential(ctx, host)
	if err != nil {
		return 0, err
	}
	resp, err := c.send(ctx, host, path, body, func(req *http.Request) {
		if credential.Username != "" {
			req.SetBasicAuth(credential.Username, credential.Password)
		}
		req.Header.Set("X-Is-Resource-Name", "true")
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
	})
	if err != nil {
		return 0, c.at(host).meaning(err)
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		failed, _ := responseError(resp).(*errcode.ErrorResponse) //nolint:errorlint // it is made there
		return resp.StatusCode, c.at(host).answer(failed)
	}
	if into == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.NewDecoder(io.LimitReader(resp.Body, maxAPIAnswer)).Decode(into)
}

// send asks a registry's host without the layer that fetches tokens; with a
// body it posts that.
func (c *Client) send(ctx context.Context, host, path string, body []byte, prepare func(*http.Request)) (*http.Response, error) {
	scheme, method := "https", http.MethodGet
	if c.plainHTTP(host) {
		scheme = "http"
	}
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		prepare(req)
	}
	return (&http.Client{Transport: c.http.Client.Transport, CheckRedirect: noRedirect}).Do(req)
}
