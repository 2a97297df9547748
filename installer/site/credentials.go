package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/document"
	"github.com/sealift/sealift/internal/problem"
)

// Credentials say where a user name and a password come from: exactly one of
// the fields is set, or none where they may be left out.
type Credentials struct {
	// FromEnv NAME means the variables NAME_USERNAME and NAME_PASSWORD.
	FromEnv string `json:"fromEnv,omitempty"`
	// File is a YAML file of this host's user alone, with username and password.
	File string `json:"file,omitempty"`
	// From is prompt: the terminal is asked. It is what a string alone means.
	From string `json:"from,omitempty" enum:"prompt"`
}

// ShortField implements document.ShortForm.
func (Credentials) ShortField() string { return "from" }

const fromPrompt = "prompt"

// Login is a user name and a password.
type Login struct {
	Username string
	Password Secret
}

// ErrNoCredentials means: they are not where the site says.
var ErrNoCredentials = errors.New("no credentials")

// LoginOptions are where logins come from besides files. The zero value reads
// the process's environment and can ask nobody.
type LoginOptions struct {
	Getenv func(string) string // nil means os.Getenv
	// Prompt asks a person for the login to what; nil means that nobody is there.
	Prompt func(what string) (Login, error)
}

// VCenterLogin returns the login to the vCenter. It fails with ErrNoCredentials.
func (s *Site) VCenterLogin(options LoginOptions) (Login, error) {
	return s.login("vCenter "+s.Spec.VCenter.Server, s.Spec.VCenter.Credentials, options)
}

// RegistryLogin returns the login to the registry; an empty one means that
// docker's configuration is asked. It fails with ErrNoCredentials.
func (s *Site) RegistryLogin(options LoginOptions) (Login, error) {
	if s.Spec.Registry.Credentials == (Credentials{}) {
		return Login{}, nil
	}
	return s.login("registry "+s.Spec.Registry.Endpoint, s.Spec.Registry.Credentials, options)
}

func (s *Site) login(what string, c Credentials, options LoginOptions) (Login, error) {
	var login Login
	var err error
	switch {
	case c.FromEnv != "":
		login, err = fromEnv(c.FromEnv, options.Getenv)
	case c.File != "":
		login, err = fromFile(s.Path(c.File))
	case options.Prompt == nil:
		err = problem.New(problem.Usage, "run it in a terminal, or let credentials name fromEnv or file", "%w: there is no terminal to ask", ErrNoCredentials)
	default:
		login, err = options.Prompt(what)
	}
	if err != nil {
		return Login{}, fmt.Errorf("credentials of %s: %w", what, err)
	}
	return login, nil
}

func fromEnv(name string, getenv func(string) string) (Login, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	login := Login{Username: getenv(name + "_USERNAME"), Password: NewSecret(getenv(name + "_PASSWORD"))}
	if login.Username == "" || login.Password.Empty() {
		return Login{}, problem.New(problem.Usage, "export "+name+"_USERNAME and "+name+"_PASSWORD", "%w: %s_USERNAME or %s_PASSWORD is not set", ErrNoCredentials, name, name)
	}
	return login, nil
}

// maxCredentials is the largest file of credentials, in bytes, that is read.
const maxCredentials = 64 << 10

func fromFile(path string) (Login, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Login{}, problem.New(problem.Usage, "write the file, with the lines username: and password:", "%w: %w", ErrNoCredentials, err)
	case err != nil:
		return Login{}, fmt.Errorf("%w: %w", ErrNoCredentials, err)
	case info.Mode().Perm()&0o077 != 0:
		return Login{}, problem.New(problem.Usage, "chmod 600 "+path, "%w: others may read %s", ErrNoCredentials, path)
	}
	data, err := content.ReadFile(path, maxCredentials)
	if err != nil {
		return Login{}, fmt.Errorf("%w: %w", ErrNoCredentials, err)
	}
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	check := func() (out []string) {
		if in.Username == "" {
			out = append(out, "username: is empty")
		}
		if in.Password == "" {
			out = append(out, "password: is empty")
		}
		return out
	}
	if err := document.Decode(data, &in, check, document.Options{}); err != nil {
		return Login{}, fmt.Errorf("%w: file %s: %w", ErrNoCredentials, path, err)
	}
	return Login{Username: in.Username, Password: NewSecret(in.Password)}, nil
}

var envPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (c Credentials) validate(out *problems, at string) {
	given := 0
	for _, v := range []string{c.FromEnv, c.File, c.From} {
		if v != "" {
			given++
		}
	}
	switch {
	case given != 1:
		out.add(at, "needs exactly one of fromEnv, file and prompt")
	case c.From != "" && c.From != fromPrompt:
		// Not told: somebody may have written the password itself.
		out.add(at, "is none of {fromEnv: NAME}, {file: PATH} and prompt; a secret does not stand here")
	case c.FromEnv != "" && !envPattern.MatchString(c.FromEnv):
		out.add(at+".fromEnv", "is not the beginning of a variable's name, such as SEALIFT_VCENTER")
	}
}
