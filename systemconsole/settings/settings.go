// Package settings is what administrators set for the whole console: the banner,
// mail, sessions, the log, backups. It is one object in the store, so
// that every replica of the console has the same.
package settings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// Kind is the kind of the object; there is one, of the name Name.
const (
	Kind = "Settings"
	Name = "console"
)

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: Kind, Value: Settings{}}} }

// Settings are all of them. The zero value is the default.
type Settings struct {
	Banner         string `json:"banner,omitempty"`
	SessionMinutes int    `json:"sessionMinutes,omitempty"` // 15 to 1440; 0 means four hours
	LogLevel       string `json:"logLevel,omitempty"`       // debug, info, warn or error; empty means info
	Mail           Mail   `json:"mail,omitzero"`
	Backup         Backup `json:"backup,omitzero"`
}

// Mail is how mails are sent.
type Mail struct {
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
	Security string `json:"security,omitempty"` // tls, starttls or none
	From     string `json:"from,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"` // wrapped
}

// Backup is where and how often backups are written.
type Backup struct {
	Folder string `json:"folder,omitempty"`
	Hours  int    `json:"hours,omitempty"` // between two; 0 means never by itself
	Keep   int    `json:"keep,omitempty"`  // how many; 0 means 14
}

// Audit is what the record of changes shows: everything but the password.
func (s Settings) Audit() any {
	if s.Mail.Password != "" {
		s.Mail.Password = "set"
	}
	return s
}

// SessionLife is how long a session lasts.
func (s Settings) SessionLife() time.Duration {
	if s.SessionMinutes == 0 {
		return 4 * time.Hour
	}
	return time.Duration(s.SessionMinutes) * time.Minute
}

// Level is that of the log.
func (s Settings) Level() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// Service is the settings in a store.
type Service struct {
	objects store.Collection[Settings]
	log     *audit.Log
	keeper  seal.Keeper

	mu   sync.Mutex
	last Settings
	at   time.Time
}

// New returns the settings in a store.
func New(s store.Store, log *audit.Log, keeper seal.Keeper) *Service {
	return &Service{objects: store.Collection[Settings]{Store: s, Kind: Kind}, log: log, keeper: keeper}
}

// fresh is how old settings may be that every page asks for.
const fresh = 2 * time.Second

// Get returns the settings as they were two seconds ago at the latest; what
// this process changed it knows at once.
func (s *Service) Get(ctx context.Context) (Settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < fresh {
		return s.last, nil
	}
	item, err := s.objects.Get(ctx, Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return s.last, err
	}
	s.last, s.at = item.Value, time.Now()
	return s.last, nil
}

// Change changes the settings. Whatever change does has been checked by one of
// the Check functions.
func (s *Service) Change(ctx context.Context, action string, change func(*Settings) error) error {
	_, err := s.objects.Create(ctx, store.Item[Settings]{Name: Name})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("keeping the settings: %w", err)
	}
	if _, err = audit.Modify(ctx, s.log, s.objects, Name, action, change); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Time{}
	return nil
}

// SealPassword wraps the password of the mail server.
func (s *Service) SealPassword(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	return s.keeper.Wrap(ctx, []byte(password), "settings.mail")
}

// OpenPassword returns the password of the mail server.
func (s *Service) OpenPassword(ctx context.Context, m Mail) (string, error) {
	if m.Password == "" {
		return "", nil
	}
	secret, err := s.keeper.Unwrap(ctx, m.Password, "settings.mail")
	return string(secret), err
}

// maxBanner is the longest banner, in bytes.
const maxBanner = 300

// CheckGeneral returns what is wrong with banner, session and log.
func CheckGeneral(s Settings) error {
	var p form.Problems
	if len(s.Banner) > maxBanner || strings.ContainsAny(s.Banner, "\r\n") {
		p.Add("banner", "use one line of at most %d characters", maxBanner)
	}
	if s.SessionMinutes != 0 && (s.SessionMinutes < 15 || s.SessionMinutes > 1440) {
		p.Add("session", "choose 15 to 1440 minutes")
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, s.LogLevel) {
		p.Add("log", "choose one of the levels")
	}
	return p.Err()
}

// CheckMail returns what is wrong with how mails are sent.
func CheckMail(m Mail) error {
	var p form.Problems
	if m.Host == "" || strings.ContainsAny(m.Host, " /\r\n") {
		p.Add("host", "enter the name of the mail server")
	}
	if m.Port < 1 || m.Port > 65535 {
		p.Add("port", "choose 1 to 65535")
	}
	if !slices.Contains([]string{"tls", "starttls", "none"}, m.Security) {
		p.Add("security", "choose how the connection is protected")
	}
	if _, err := mail.ParseAddress(m.From); err != nil || strings.ContainsAny(m.From, "\r\n") {
		p.Add("from", "enter an address such as console@north.example")
	}
	if m.Security == "none" && m.Username != "" {
		p.Add("security", "a password is sent over a protected connection only")
	}
	return p.Err()
}

// CheckBackup returns what is wrong with where backups are written.
func CheckBackup(b Backup) error {
	var p form.Problems
	if b.Hours != 0 && b.Folder == "" || b.Folder != "" && !strings.HasPrefix(b.Folder, "/") {
		p.Add("folder", "enter the full path of a folder on the console's host")
	}
	if b.Hours < 0 || b.Hours > 720 {
		p.Add("hours", "choose 0 (never by itself) to 720")
	}
	if b.Keep < 0 || b.Keep > 365 {
		p.Add("keep", "choose 1 to 365")
	}
	return p.Err()
}
