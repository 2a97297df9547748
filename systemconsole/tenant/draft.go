package tenant

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealift/sealift/systemconsole/form"
)

// maxText is the most characters of a name; maxLimit the highest limit.
const (
	maxText  = 100
	maxSlug  = 40
	maxLimit = 1_000_000
)

// checkDraft trims what was entered and returns who is the first administrator.
func checkDraft(d *Draft) (Person, error) {
	var p form.Problems
	d.Organization = text(&p, "organization", d.Organization, true)
	person := Person{FirstName: text(&p, "firstName", d.FirstName, true), LastName: text(&p, "lastName", d.LastName, true),
		Email: Email(&p, "email", d.Email)}
	return person, p.Err()
}

// text checks a line of text.
func text(p *form.Problems, field, value string, required bool) string {
	value = strings.TrimSpace(value)
	switch {
	case value == "" && required:
		p.Add(field, "fill this in")
	case utf8.RuneCountInString(value) > maxText:
		p.Add(field, "use %d characters or fewer", maxText)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		p.Add(field, "use one line of plain text")
	}
	return value
}

// Email checks an address and returns it in the one form in which it is
// compared.
func Email(p *form.Problems, field, value string) string {
	value = strings.TrimSpace(value)
	a, err := mail.ParseAddress(value)
	if err != nil || a.Address != value || len(value) > 254 || strings.ContainsFunc(value, unicode.IsControl) {
		p.Add(field, "enter an e-mail address, such as ada@example.com")
		return value
	}
	return strings.ToLower(value)
}

// slug makes a name of an organization's: lower-case letters, digits, hyphens.
func slug(organization string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(organization) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	s = strings.Trim(s[:min(len(s), maxSlug)], "-")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return strings.Trim("tenant-"+s, "-") // names of namespaces begin with a letter to be safe everywhere
	}
	return s
}

func numbered(base string, n int) string {
	if n == 1 {
		return base
	}
	return fmt.Sprintf("%s-%d", base, n)
}

func (l Limits) check() form.Problems {
	var p form.Problems
	for _, f := range []struct {
		field string
		value int
	}{{"users", l.Users}, {"cpu", l.CPU}, {"memoryGiB", l.MemoryGiB}, {"storageGiB", l.StorageGiB}, {"pods", l.Pods}} {
		if f.value < 0 || f.value > maxLimit {
			p.Add(f.field, "enter a number from 0 to %d; 0 is no limit", maxLimit)
		}
	}
	return p
}
