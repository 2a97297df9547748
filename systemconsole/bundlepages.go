package systemconsole

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/registries"
)

// The bounds of a bundle that comes with a plain form.
const (
	bundleBody   = registries.MaxUpload + 1<<20 // with what the form adds
	maxFormToken = 1 << 10
	partTime     = time.Minute // that a client may be silent
)

// receiveBundle takes a bundle from a plain form. The form is read as it
// arrives, so its token is checked here: it must be the first part.
func (s *Server) receiveBundle(w http.ResponseWriter, r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return badForm(err)
	}
	if err := checkFirstPart(form, auth.IdentityOf(r.Context())); err != nil {
		return err
	}
	file, err := form.NextPart()
	if err != nil || file.FormName() != "bundle" || file.FileName() == "" {
		return badForm(errors.New("choose a file"))
	}
	id, err := s.uploads.Receive(r.Context(), file.FileName(), r.ContentLength, patient{file, http.NewResponseController(w)})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badForm(errors.New("the file did not arrive whole: send it again"))
	}
	if err != nil {
		return err
	}
	return see(w, r, "/bundles/"+id)
}

// checkFirstPart fails unless a form begins with the token of the session.
func checkFirstPart(form *multipart.Reader, id auth.Identity) error {
	part, err := form.NextPart()
	if err != nil {
		return badForm(err)
	}
	token, err := io.ReadAll(io.LimitReader(part, maxFormToken))
	if err != nil {
		return badForm(err)
	}
	if part.FormName() != FormTokenField || subtle.ConstantTimeCompare(token, []byte(id.FormToken)) != 1 {
		return errStaleForm
	}
	return nil
}

// patient reads what takes long to arrive: only a client that is silent is cut
// off.
type patient struct {
	io.Reader
	control *http.ResponseController
}

func (p patient) Read(b []byte) (int, error) {
	// HTTP/2 ends a stream whose answer is late, even while it reads.
	err := errors.Join(p.control.SetReadDeadline(time.Now().Add(partTime)), p.control.SetWriteDeadline(time.Now().Add(2*partTime)))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("waiting for the file: %w", err)
	}
	return p.Reader.Read(b)
}

func (s *Server) removeUpload(w http.ResponseWriter, r *http.Request) error {
	err := s.uploads.Remove(r.Context(), r.PathValue("id"))
	if problems := problemsOf(err); problems != nil {
		return s.showUpload(w, r, http.StatusUnprocessableEntity, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/registries", noticeUploadRemoved)
}

// sweepUploads removes uploads that nobody went on with.
func (s *Server) sweepUploads(ctx context.Context) {
	if s.uploads != nil {
		s.uploads.Sweep(ctx, s.now())
	}
}
