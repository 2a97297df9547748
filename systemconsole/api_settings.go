package systemconsole

import (
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/settings"
)

// MailChange is how mails are to be sent. An empty password keeps the one that
// is set, for the same server and user.
type MailChange struct {
	settings.Mail
	Test string `json:"test,omitempty"` // address that a test mail has to arrive at first
}

// Certificate is what the console shows to browsers.
type Certificate struct {
	Subject string    `json:"subject"`
	Hosts   []string  `json:"hosts"`
	Expires time.Time `json:"expires"`
}

// CertificateChange is another certificate with its key, both PEM, and the
// address that it has to be good for.
type CertificateChange struct {
	Host        string `json:"host"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// BackupFile is a backup and where it is.
type BackupFile struct {
	backup.File
	Place string `json:"place"` // folder or s3
	Where string `json:"where"` // the folder, or the bucket
}

// BackupList is the backups that are there, and how the last one went.
type BackupList struct {
	Last     backup.Run   `json:"last"`
	Backups  []BackupFile `json:"backups"`
	Failures []string     `json:"failures,omitempty"` // places that do not answer
}

// Restore confirms a restore.
type Restore struct {
	Confirm string `json:"confirm"` // the name of the backup
}

// Restored is what came of a restore.
type Restored struct {
	Objects int `json:"objects"`
}

// settingsRoutes are those of the console's own settings for programs. Secrets
// are taken and never given out.
func (s *Server) settingsRoutes() []route {
	return []route{
		call("GET /settings/general", auth.ReadSettings, "Show the banner and the log level", s.apiGeneral),
		call("PUT /settings/general", auth.WriteSettings, "Change the banner and the log level", s.apiSetGeneral),
		call("GET /settings/security", auth.ReadSettings, "Show what passwords and sessions have to keep to", s.apiPolicy),
		call("PUT /settings/security", auth.WriteSecurity, "Change what passwords and sessions have to keep to; 0 is the default", s.apiSetPolicy),
		call("GET /settings/mail", auth.ReadSettings, "Show how mails are sent", s.apiMail),
		call("PUT /settings/mail", auth.WriteSecurity, "Change how mails are sent; nothing but empty values ends it", s.apiSetMail),
		call("GET /settings/proxy", auth.ReadSettings, "Show the proxy", s.apiProxy),
		call("PUT /settings/proxy", auth.WriteSettings, "Change the proxy", s.apiSetProxy),
		call("GET /settings/certificate", auth.ReadSettings, "Show the console's certificate", s.apiCertificate),
		call("PUT /settings/certificate", auth.WriteSettings, "Change the console's certificate, checked together with its key and the address", s.apiSetCertificate),
		call("GET /settings/backup", auth.ReadSettings, "Show where backups go", s.apiBackupSettings),
		long(call("PUT /settings/backup", auth.WriteSettings, "Change where backups go, after one was written there", s.apiSetBackup)),
		call("GET /backups", auth.ReadSettings, "List backups, and how the last one went", s.apiBackups),
		long(call("POST /backups", auth.WriteSettings, "Write a backup now", s.apiBackupNow)),
		{pattern: "GET " + apiPrefix + "/backups/{place}/{name}", access: token(auth.WriteSettings), handler: s.sendBackup,
			op: &operation{summary: "A backup, encrypted for the master key", content: "application/octet-stream", in: nothing{}}},
		long(call("POST /backups/{place}/{name}/restore", auth.WriteSecurity, "Make everything what it was when a backup was written", s.apiRestore)),
	}
}

func (s *Server) apiGeneral(r *http.Request, _ nothing) (settings.General, error) {
	current, err := s.settings.Get(r.Context())
	return current.General(), err
}

func (s *Server) apiSetGeneral(r *http.Request, g settings.General) (nothing, error) {
	return nothing{}, s.setGeneral(r.Context(), g)
}

func (s *Server) apiPolicy(r *http.Request, _ nothing) (auth.Policy, error) {
	current, err := s.settings.Get(r.Context())
	return current.Policy.Effective(), err
}

func (s *Server) apiSetPolicy(r *http.Request, p auth.Policy) (nothing, error) {
	return nothing{}, s.settings.SetPolicy(r.Context(), p)
}

func (s *Server) apiMail(r *http.Request, _ nothing) (settings.Mail, error) {
	current, err := s.settings.Get(r.Context())
	current.Mail.Password = ""
	return current.Mail, err
}

func (s *Server) apiSetMail(r *http.Request, in MailChange) (nothing, error) {
	return nothing{}, s.setMail(r.Context(), in.Mail, in.Test)
}

func (s *Server) apiProxy(r *http.Request, _ nothing) (settings.Proxy, error) {
	current, err := s.settings.Get(r.Context())
	current.Proxy.Password = ""
	return current.Proxy, err
}

func (s *Server) apiSetProxy(r *http.Request, p settings.Proxy) (nothing, error) {
	return nothing{}, s.settings.SetProxy(r.Context(), p)
}

func (s *Server) apiCertificate(*http.Request, nothing) (Certificate, error) {
	leaf, err := s.certificate()
	if err != nil {
		return Certificate{}, err
	}
	return Certificate{Subject: leaf.Subject.String(), Hosts: hostsOf(leaf), Expires: leaf.NotAfter}, nil
}

func (s *Server) apiSetCertificate(r *http.Request, in CertificateChange) (nothing, error) {
	return nothing{}, s.setCertificate(r.Context(), in.Host, []byte(in.Certificate), []byte(in.Key))
}

func (s *Server) apiBackupSettings(r *http.Request, _ nothing) (settings.Backup, error) {
	current, err := s.settings.Get(r.Context())
	current.Backup.S3.SecretKey = ""
	return current.Backup, err
}

func (s *Server) apiSetBackup(r *http.Request, b settings.Backup) (nothing, error) {
	return nothing{}, s.setBackup(r.Context(), b)
}

func (s *Server) apiBackups(r *http.Request, _ nothing) (BackupList, error) {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return BackupList{}, err
	}
	return s.listBackups(r, current.Backup)
}

func (s *Server) apiBackupNow(r *http.Request, _ nothing) (backup.File, error) {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return backup.File{}, err
	}
	if !current.Backup.On() {
		return backup.File{}, errNoPlace()
	}
	return s.backupNow(r.Context(), current.Backup)
}

func (s *Server) apiRestore(r *http.Request, in Restore) (Restored, error) {
	objects, err := s.restoreConfirmed(r, in.Confirm)
	return Restored{Objects: objects}, err
}
