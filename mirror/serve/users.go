package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// hashCost is the cost of a password's hash. The registry computes it with every
// request, so that it is a matter of how many nodes pull at a time: this one, which
// htpasswd takes too, needs some milliseconds, and each more doubles that.
const hashCost = 5

// errNoUser means: a line of a file of users has none that can log in.
var errNoUser = errors.New("not USER:HASH with a bcrypt hash")

// SetUser adds a user to a file for RegistryOptions.Htpasswd, or gives one that
// is there another password, and tells which. The file is made where there is
// none, and is for its owner alone then. A registry that runs reads it again, also
// one of another user: who may read the file stays as it is.
func SetUser(path, name string, password []byte) (replaced bool, err error) {
	if err := checkUser(name, password); err != nil {
		return false, err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading the users: %w", err)
	}
	hash, err := bcrypt.GenerateFromPassword(password, hashCost)
	if err != nil {
		return false, fmt.Errorf("hashing the password: %w", err)
	}
	lines, replaced, err := withUser(path, string(data), name, name+":"+string(hash))
	if err != nil {
		return false, err
	}
	if err := durable.Rewrite(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return false, fmt.Errorf("writing the users: %w", err)
	}
	return replaced, nil
}

// maxPassword is how many bytes of a password bcrypt looks at.
const maxPassword = 72

func checkUser(name string, password []byte) error {
	odd := func(r rune) bool { return r == ':' || unicode.IsControl(r) }
	switch {
	case name == "" || name != strings.TrimSpace(name) || strings.HasPrefix(name, "#") || strings.ContainsFunc(name, odd):
		return problem.New(problem.Usage, "choose a name without colons, line ends and space around it", "%q cannot be the name of a user", name)
	case len(password) == 0:
		return problem.New(problem.Usage, "choose a password", "the password of %s is empty", name)
	case len(password) > maxPassword:
		return problem.New(problem.Usage, "choose a shorter password", "the password of %s has %d bytes, and %d are the most", name, len(password), maxPassword)
	}
	return nil
}

// withUser returns the lines of a file of users with one line for a user. What it
// does not know it does not touch: the file may be another than was meant.
func withUser(path, text, name, line string) (lines []string, replaced bool, err error) {
	for i, old := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		found, err := userOf(old)
		switch {
		case err != nil:
			return nil, false, problem.New(problem.Failed, "mend the line or take it out, or name another file", "%s, line %d: %w", path, i+1, err)
		case found != name:
			lines = append(lines, old)
		case !replaced:
			lines, replaced = append(lines, line), true
		}
	}
	if len(lines) == 1 && lines[0] == "" { // of a new file
		lines = nil
	}
	if !replaced {
		lines = append(lines, line)
	}
	return lines, replaced, nil
}

// userOf returns the user of a line; "" of an empty one and of a comment.
func userOf(line string) (string, error) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", nil
	}
	name, hash, ok := strings.Cut(line, ":")
	if _, err := bcrypt.Cost([]byte(hash)); !ok || name == "" || err != nil {
		return "", errNoUser
	}
	return name, nil
}

// checkHtpasswd refuses a file that would lock everybody out: the library
// makes one with a random password where there is none, and ignores users
// whose password is not hashed with bcrypt.
func checkHtpasswd(path string) error {
	remedy := "sealift registry user NAME --htpasswd " + path + " writes it; htpasswd -Bbn USER PASSWORD does the same"
	data, err := os.ReadFile(path)
	if err != nil {
		return problem.WithRemedy(fmt.Errorf("reading the users: %w", err), remedy)
	}
	users := 0
	for i, line := range strings.Split(string(data), "\n") {
		name, err := userOf(line)
		if err != nil {
			return problem.New(problem.Failed, remedy, "%s, line %d: %w", path, i+1, err)
		}
		if name != "" {
			users++
		}
	}
	if users == 0 {
		return problem.New(problem.Failed, remedy, "%s has no users", path)
	}
	return nil
}
