package systemconsole

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/registries"
)

const (
	// uploadsPath is where the page's script sends bundles to, in chunks.
	uploadsPath = "/uploads/"
	// apiUploadsPath is where programs do.
	apiUploadsPath = apiPrefix + uploadsPath
	// chunkBody is the most bytes of one chunk.
	chunkBody = 64 << 20
)

// receiver is the bundles that arrive, from pages and from programs.
type receiver struct {
	*registries.Uploads
	page, api http.Handler // of the tus protocol
}

func newReceiver(ctx context.Context, to *registries.Service, opts Options) (*receiver, error) {
	u, err := registries.NewUploads(ctx, to, opts.Uploads, registries.UploadOptions{Room: opts.UploadRoom})
	if err != nil {
		return nil, err
	}
	out := &receiver{Uploads: u}
	if out.page, err = u.Endpoint(uploadsPath); err != nil {
		return nil, err
	}
	out.api, err = u.Endpoint(apiUploadsPath)
	return out, err
}

// errNoUploads means: the console was given no folder for bundles.
func errNoUploads() error {
	return uploadError{http.StatusNotFound, problem.New(problem.Failed, "start the console with --uploads, or use sealift mirror push at the site",
		"this console receives no bundles")}
}

// uploadError is what the tus protocol answers instead of what was asked for.
type uploadError struct {
	status int
	error
}

func (e uploadError) Unwrap() error { return e.error }

// withUploads answers when there is a folder for bundles.
func (s *Server) withUploads(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.uploads == nil {
			return errNoUploads()
		}
		return h(w, r)
	}
}

// upload answers the page's script, which shows texts as they are.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	err := tus(w, r, s.uploads.page)
	var refused uploadError
	if !errors.As(err, &refused) {
		return err
	}
	http.Error(w, strings.Join(append([]string{refused.Error()}, problem.Remedies(refused)...), ": "), refused.status)
	return nil
}

// apiUpload answers programs, which get failures as those of every call.
func (s *Server) apiUpload(w http.ResponseWriter, r *http.Request) error {
	return tus(w, r, s.uploads.api)
}

// tus answers a request of the tus protocol. What the library says against it,
// and has not answered yet, is returned.
func tus(w http.ResponseWriter, r *http.Request, h http.Handler) error {
	answer := &tusAnswer{ResponseWriter: w}
	h.ServeHTTP(answer, r)
	if answer.failed == 0 {
		return nil
	}
	for _, name := range []string{"Content-Length", "Content-Type"} {
		w.Header().Del(name) // of the text that is not sent
	}
	_, text, _ := strings.Cut(answer.text.String(), ": ") // without its code
	text, remedies, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if text == "" {
		text = strings.ToLower(http.StatusText(answer.failed))
	}
	if answer.failed == http.StatusInternalServerError {
		return fmt.Errorf("receiving a bundle: %s", text)
	}
	return uploadError{answer.failed, problem.New(problem.Failed, remedies, "%s", text)}
}

// tusAnswer keeps back an answer that is a failure.
type tusAnswer struct {
	http.ResponseWriter
	failed int // its status
	text   bytes.Buffer
}

func (a *tusAnswer) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		a.failed = status
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *tusAnswer) Write(p []byte) (int, error) {
	if a.failed != 0 {
		return a.text.Write(p)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is below.
func (a *tusAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
