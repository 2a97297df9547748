package auth

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealift/sealift/systemconsole/form"
)

// maxPassword is the most bytes of a password; more is only work for the server.
const maxPassword = 256

// PasswordField is the name of the form's field for a new password.
const PasswordField = "password"

// checkPassword returns what is wrong with a new password of an account.
func checkPassword(policy Policy, account, password string) form.Problems {
	var p form.Problems
	if utf8.RuneCountInString(password) < policy.Length {
		p.Add(PasswordField, "use %d characters or more", policy.Length)
	}
	if len(password) > maxPassword || !utf8.ValidString(password) {
		p.Add(PasswordField, "use no more than %d characters", maxPassword)
	}
	if missing := missingClasses(password); 4-len(missing) < policy.Classes {
		p.Add(PasswordField, "add %s", advice(missing, policy.Classes-(4-len(missing))))
	}
	if account != "" && strings.Contains(strings.ToLower(password), strings.ToLower(account)) {
		p.Add(PasswordField, "leave out the name of the account")
	}
	return p
}

// advice says which of the missing classes to add: all, or so many of them.
func advice(missing []string, wanted int) string {
	if wanted == len(missing) {
		return strings.Join(missing, ", ")
	}
	return fmt.Sprintf("%d of these: %s", wanted, strings.Join(missing, ", "))
}

// missingClasses names the classes of characters that a password lacks.
func missingClasses(password string) []string {
	var lower, upper, digit, other bool
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower = true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsDigit(r):
			digit = true
		default:
			other = true
		}
	}
	var missing []string
	for _, c := range []struct {
		has  bool
		name string
	}{{lower, "a lower-case letter"}, {upper, "an upper-case letter"}, {digit, "a digit"}, {other, "a special character"}} {
		if !c.has {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// Credential is a password with what the policy needs to know of it. Tenants'
// users have one as accounts do.
type Credential struct {
	Hash    string   `json:"hash,omitempty"`    // argon2id; empty means that no password is set
	History []string `json:"history,omitempty"` // hashes of those before, the newest first
	// Changed is when the password was set; zero for one of before that was noted.
	Changed time.Time `json:"changed,omitzero"`
}

// Proof tells, in a session, which password was checked when it began. The salt
// in the hash makes it another one each time that a password is set.
func (c Credential) Proof() string {
	if c.Hash == "" {
		return ""
	}
	return hashed(c.Hash)
}

// Renewed returns a credential with a new password, or what the policy says
// against it.
func (s *Service) Renewed(ctx context.Context, c Credential, account, password string) (Credential, error) {
	policy := s.Policy(ctx)
	if err := checkPassword(policy, account, password).Err(); err != nil {
		return c, err
	}
	used := c.History
	if c.Hash != "" {
		used = append([]string{c.Hash}, c.History...)
	}
	used = used[:min(len(used), policy.History)]
	for _, old := range used {
		same, err := s.hasher.verify(ctx, password, old)
		if err != nil {
			return c, err
		}
		if same {
			return c, form.Fail(PasswordField, "take one that is not among the last %d", policy.History)
		}
	}
	hash, err := s.hasher.hash(ctx, password)
	return Credential{Hash: hash, History: used, Changed: s.now()}, err
}

// Expired tells whether a password has to be changed by now. One that was set
// before that was noted is as old as what has it.
func (s *Service) Expired(ctx context.Context, c Credential, created time.Time) bool {
	set := c.Changed
	if set.IsZero() {
		set = created
	}
	return s.Policy(ctx).expired(set, s.now())
}

// Verify tells whether a password is the credential's.
func (s *Service) Verify(ctx context.Context, c Credential, password string) (bool, error) {
	if len(password) > maxPassword {
		password = "" // wrong, at the same cost
	}
	return s.hasher.verify(ctx, password, c.Hash)
}
