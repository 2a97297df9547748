package web

import (
	"time"

	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/settings"
)

// AdministrationPage is the banner, sessions and the log.
type AdministrationPage struct {
	Frame
	Tabs     []Tab
	May      bool
	Settings settings.Settings
	Session  int // minutes
}

// Template names the template.
func (AdministrationPage) Template() string { return "administration" }

// MailPage is how mails are sent.
type MailPage struct {
	Frame
	Tabs []Tab
	May  bool
	Mail settings.Mail
	To   string // of the test mail
}

// Template names the template.
func (MailPage) Template() string { return "mail" }

// TLSPage is the console's certificate.
type TLSPage struct {
	Frame
	Tabs     []Tab
	May      bool // and can: the console knows its files
	Subject  string
	Hosts    []string
	Expires  time.Time
	Status   Status
	Host     string // as it was entered
	CertText string
}

// Template names the template.
func (TLSPage) Template() string { return "tls" }

// BackupPage is where backups go, and those that are there.
type BackupPage struct {
	Frame
	Tabs   []Tab
	May    bool
	Backup settings.Backup
	Files  []backup.File
}

// Template names the template.
func (BackupPage) Template() string { return "backup" }
