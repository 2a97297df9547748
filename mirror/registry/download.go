package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	orasregistry "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/retry"
)

// Download reads a small file of a web server, such as the index of a chart
// repository, with the same trust, credentials and patience as a registry's
// content. It fails with content.ErrNotFound when there is none, and with
// content.ErrTooLarge for more than limit bytes.
func (c *Client) Download(ctx context.Context, address string, limit int64) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	// Errors are explained as those of a repository: host and path, no query.
	at := &Repository{client: c, oras: &remote.Repository{Reference: orasregistry.Reference{Registry: u.Host, Repository: strings.TrimPrefix(u.Path, "/")}, PlainHTTP: u.Scheme == "http"}}
	w := retry.Watch(ctx, answerTimeout, c.opts.StallTimeout)
	defer w.Stop()
	data, err := c.download(w.Context, u, limit)
	if err != nil {
		return nil, at.explain("downloading", w.Cause(err))
	}
	return data, nil
}

func (c *Client) download(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != http.StatusOK {
		return nil, responseError(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, content.ErrTooLarge)
	}
	return data, err
}
