package web

import (
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/settings"
)

// AdministrationPage is the banner and the log.
type AdministrationPage struct {
	Frame
	Tabs    []Tab
	May     bool
	General settings.General
}

// Template names the template.
func (AdministrationPage) Template() string { return "administration" }

// SecurityPage is what passwords and sessions have to keep to.
type SecurityPage struct {
	Frame
	Tabs   []Tab
	May    bool
	Policy auth.Policy
}

// Template names the template.
func (SecurityPage) Template() string { return "security" }

// ProxyPage is the way to what the console calls.
type ProxyPage struct {
	Frame
	Tabs  []Tab
	May   bool
	Proxy settings.Proxy // without its password
}

// Template names the template.
func (ProxyPage) Template() string { return "proxy" }

// MailPage is how mails are sent.
type MailPage struct {
	Frame
	Tabs []Tab
	May  bool
	Set  bool          // mails can be sent
	Mail settings.Mail // without its password
	To   string        // of the test mail
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
	Tabs       []Tab
	May        bool
	MayRestore bool
	On         bool            // there is a place for them
	Backup     settings.Backup // without its secret key
	Run        backup.Run      // the last one
	Status     Status          // of the last one
	Files      []BackupFile
	Failures   []string // places that do not answer
}

// BackupFile is a backup in a list.
type BackupFile struct {
	backup.File
	Where string
	Path  string // of its page
}

// RestorePage asks for confirmation.
type RestorePage struct {
	Frame
	Name string
	Path string // of the backup
}

// Template names the template.
func (RestorePage) Template() string { return "restore" }

// Template names the template.
func (BackupPage) Template() string { return "backup" }
