package systemconsole

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/web"
)

// backupsPath is the page about backups.
const backupsPath = "/administration/backup"

func (s *Server) backupPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	return s.showBackup(w, r, current.Backup, nil)
}

func (s *Server) showBackup(w http.ResponseWriter, r *http.Request, b settings.Backup, problems form.Problems) error {
	b.S3.SecretKey = ""
	b.Keep = b.Kept()
	p := web.BackupPage{Frame: s.inAdministration(r, "Backup", problems), Tabs: administrationTabs(backupsPath), May: mayChangeSettings(r),
		MayRestore: mayChangeSecurity(r), Backup: b, Run: s.run(r.Context())}
	p.Status = runStatus(p.Run, s.now())
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	p.On = current.Backup.On()
	list, err := s.listBackups(r, current.Backup)
	if err != nil {
		return err
	}
	for _, f := range list.Backups {
		p.Files = append(p.Files, web.BackupFile{File: f.File, Where: f.Where, Path: backupPath(f.Place, f.Name)})
	}
	p.Failures = list.Failures
	return s.web.Render(w, statusFor(problems), p)
}

func backupPath(place, name string) string {
	return backupsPath + "/" + url.PathEscape(place) + "/" + url.PathEscape(name)
}

// runStatus says how the last backup went.
func runStatus(run backup.Run, now time.Time) web.Status {
	switch {
	case run.Started.IsZero():
		return web.Status{Text: "None yet"}
	case run.Busy(now):
		return web.Status{State: web.Busy, Text: "Being written"}
	case run.Failure != "":
		return web.Status{State: web.Bad, Text: "Failed"}
	default:
		return web.Status{State: web.Good, Text: "Good"}
	}
}

// listBackups lists what is in every place; one that does not answer is told of.
func (s *Server) listBackups(r *http.Request, b settings.Backup) (BackupList, error) {
	list := BackupList{Last: s.run(r.Context()), Backups: []BackupFile{}}
	names, places, err := s.places(r.Context(), b)
	if err != nil {
		return list, err
	}
	for i, place := range places {
		files, err := place.Files(r.Context())
		if err != nil {
			list.Failures = append(list.Failures, fmt.Sprintf("backups in %s: %s", place, err))
		}
		for _, f := range files {
			list.Backups = append(list.Backups, BackupFile{File: f, Place: names[i], Where: place.String()})
		}
	}
	return list, nil
}

// saveBackup keeps where backups go, and writes one there to prove it.
func (s *Server) saveBackup(w http.ResponseWriter, r *http.Request) error {
	b := settings.Backup{Folder: textIn(r, "folder"), Hours: numberIn(r, "hours"), Keep: numberIn(r, "keep"),
		S3: settings.S3{Endpoint: textIn(r, "endpoint"), Region: textIn(r, "region"), Bucket: textIn(r, "bucket"), Prefix: textIn(r, "prefix"),
			AccessKey: textIn(r, "accessKey"), SecretKey: r.PostFormValue("secretKey"), CA: string(pemIn(r, "ca"))}}
	err := s.setBackup(r.Context(), b)
	if problems := problemsOf(err); problems != nil {
		return s.showBackup(w, r, b, problems)
	}
	if err != nil {
		return err
	}
	if !b.On() {
		return seeNotice(w, r, backupsPath, noticeSettings)
	}
	return seeNotice(w, r, backupsPath, noticeBackup)
}

// writeBackupNow writes one where they go.
func (s *Server) writeBackupNow(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	if !current.Backup.On() {
		return errNoPlace()
	}
	_, err = s.backupNow(r.Context(), current.Backup)
	if problems := problemsOf(err); problems != nil {
		return s.showBackup(w, r, current.Backup, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, backupsPath, noticeBackup)
}

// openBackup opens the backup in the address of a request.
func (s *Server) openBackup(r *http.Request) (io.ReadCloser, error) {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return nil, err
	}
	place, err := s.place(r.Context(), current.Backup, r.PathValue("place"))
	if err != nil {
		return nil, err
	}
	f, err := place.Open(r.Context(), r.PathValue("name"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, backup.ErrName) {
		return nil, errUnknown
	}
	return f, err
}

// sendBackup gives a backup out as it is: encrypted.
func (s *Server) sendBackup(w http.ResponseWriter, r *http.Request) error {
	f, err := s.openBackup(r)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(r.PathValue("name")))
	if _, err := io.Copy(steady{w}, f); err != nil {
		panic(http.ErrAbortHandler) // a file that ends short must not look whole
	}
	return nil
}

func (s *Server) restorePage(w http.ResponseWriter, r *http.Request) error {
	f, err := s.openBackup(r)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return s.showRestore(w, r, nil)
}

func (s *Server) showRestore(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	p := web.RestorePage{Frame: s.inAdministration(r, "Restore a backup", problems), Name: r.PathValue("name"), Path: backupPath(r.PathValue("place"), r.PathValue("name"))}
	p.Crumbs = append(p.Crumbs, web.Link{Text: "Backup", Path: backupsPath})
	return s.web.Render(w, statusFor(problems), p)
}

// restoreBackup brings a backup back. All sessions end with it, also this one.
func (s *Server) restoreBackup(w http.ResponseWriter, r *http.Request) error {
	_, err := s.restoreConfirmed(r, r.PostForm.Get("confirm"))
	if problems := problemsOf(err); problems != nil {
		return s.showRestore(w, r, problems)
	}
	if err != nil {
		return err
	}
	dropSession(w, sessionCookie)
	return seeNotice(w, r, "/login", noticeRestored)
}

// restoreConfirmed restores when the name was typed once more.
func (s *Server) restoreConfirmed(r *http.Request, confirm string) (objects int, err error) {
	name := r.PathValue("name")
	if confirm != name {
		return 0, form.Fail("confirm", "enter the name of the backup to confirm: %s", name)
	}
	objects, err = s.restore(r.Context(), r.PathValue("place"), name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, backup.ErrName) {
		return 0, errUnknown
	}
	if errors.Is(err, errUnknown) {
		return 0, err
	}
	return objects, backupProblems(err)
}

// backupAlerts says to those who may do something about it that there is no
// good backup of late, and leads those to more about it who are elsewhere.
func (s *Server) backupAlerts(r *http.Request) []web.Message {
	b := s.current(r.Context()).Backup
	if !b.On() || !auth.IdentityOf(r.Context()).May(auth.ReadSettings) {
		return nil
	}
	run := s.run(r.Context())
	var remedies []string
	if !strings.HasPrefix(r.URL.Path, backupsPath) {
		remedies = []string{"See Administration, Backup."}
	}
	late := b.Hours > 0 && s.now().Sub(run.Good) > 2*time.Duration(b.Hours)*time.Hour && !run.Started.IsZero()
	switch {
	case run.Failure != "":
		return []web.Message{{State: web.Bad, Text: "The last backup failed.", Detail: []string{run.Failure}, Remedies: remedies}}
	case late:
		return []web.Message{{State: web.Warn, Text: "There is no good backup of late.", Remedies: remedies}}
	default:
		return nil
	}
}
