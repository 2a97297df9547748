package settings

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sealift/sealift/systemconsole/form"
)

// Backup is where and how often backups are written: into a folder, into a
// bucket, or both.
type Backup struct {
	Folder string `json:"folder,omitempty"`
	S3     S3     `json:"s3,omitzero"`
	Hours  int    `json:"hours,omitempty"` // between two; 0 means never by itself
	Keep   int    `json:"keep,omitempty"`  // how many in each place; 0 means 14
}

// S3 is a bucket of a store that speaks the protocol of S3.
type S3 struct {
	Endpoint  string `json:"endpoint,omitempty"` // https://HOST[:PORT]
	Region    string `json:"region,omitempty"`   // empty means us-east-1
	Bucket    string `json:"bucket,omitempty"`   // empty means that no bucket is used
	Prefix    string `json:"prefix,omitempty"`   // of the names of objects, such as console/
	AccessKey string `json:"accessKey,omitempty"`
	SecretKey string `json:"secretKey,omitempty"` // wrapped
	CA        string `json:"ca,omitempty"`        // PEM, trusted besides the system's
}

// s3Place is what the secret key is sealed for.
const s3Place = "settings.backup.s3"

// DefaultKeep is how many backups are kept in each place.
const DefaultKeep = 14

// Kept is how many backups are kept in each place.
func (b Backup) Kept() int {
	if b.Keep == 0 {
		return DefaultKeep
	}
	return b.Keep
}

// On tells whether there is a place for backups.
func (b Backup) On() bool { return b.Folder != "" || b.S3.Bucket != "" }

func (b Backup) check() form.Problems {
	var p form.Problems
	if b.Folder != "" && (!filepath.IsAbs(b.Folder) || filepath.Clean(b.Folder) == "/") {
		p.Add("folder", "enter the full path of a folder on the console's host")
	}
	if b.Hours != 0 && !b.On() {
		p.Add("folder", "name a folder or a bucket for the backups")
	}
	if b.Hours < 0 || b.Hours > 720 {
		p.Add("hours", "choose 0 (never by itself) to 720")
	}
	if b.Keep < 0 || b.Keep > 365 {
		p.Add("keep", "choose 1 to 365")
	}
	if b.S3 != (S3{}) {
		b.S3.check(&p)
	}
	return p
}

func (c S3) check(p *form.Problems) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		p.Add("endpoint", "enter the https:// address of the store, without a path")
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`).MatchString(c.Bucket) {
		p.Add("bucket", "enter the name of the bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9-]{0,40}$`).MatchString(c.Region) {
		p.Add("region", "enter a region such as us-east-1, or nothing")
	}
	if !regexp.MustCompile(`^([A-Za-z0-9._-]+/)*([A-Za-z0-9._-]+/?)?$`).MatchString(c.Prefix) || len(c.Prefix) > 200 {
		p.Add("prefix", "use letters, digits, dots, hyphens and slashes, such as console/")
	}
	if c.AccessKey == "" || strings.ContainsAny(c.AccessKey, " \r\n") {
		p.Add("accessKey", "enter the access key")
	}
	checkCA(p, "ca", c.CA)
}

// PrepareBackup checks where backups go and seals the secret key that was
// entered. What it returns can be tried before SetBackup keeps it.
func (s *Service) PrepareBackup(ctx context.Context, b Backup) (Backup, error) {
	current, err := s.Get(ctx)
	if err != nil {
		return b, err
	}
	if b.S3.Bucket == "" && b.S3.Endpoint == "" && b.S3.AccessKey == "" {
		b.S3 = S3{}
	}
	if b.S3.Prefix = strings.Trim(b.S3.Prefix, "/"); b.S3.Prefix != "" {
		b.S3.Prefix += "/"
	}
	p := b.check()
	if b.S3 != (S3{}) {
		old := current.Backup.S3
		same := b.S3.Endpoint == old.Endpoint && b.S3.AccessKey == old.AccessKey
		b.S3.SecretKey, err = s.sealed(ctx, b.S3.SecretKey, old.SecretKey, s3Place, same)
		if b.S3.SecretKey == "" && err == nil {
			p.Add("secretKey", "enter the secret key of this access key")
		}
	}
	return b, errors.Join(p.Err(), err)
}

// SetBackup keeps what PrepareBackup returned.
func (s *Service) SetBackup(ctx context.Context, b Backup) error {
	return s.change(ctx, "settings.backup", func(to *Settings) error { to.Backup = b; return nil })
}

// SecretKey returns the secret key of a bucket.
func (s *Service) SecretKey(ctx context.Context, c S3) (string, error) {
	return s.opened(ctx, c.SecretKey, s3Place)
}
