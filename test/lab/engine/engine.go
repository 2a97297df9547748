// Package engine gives the lab a Docker engine: the one that runs, as it is,
// or where none runs one of its own, unpacked from Debian's packages into a
// folder, with its own data, socket and process, that ends with the lab.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sealift/sealift/internal/problem"
)

// Engine is a Docker engine that answers.
type Engine struct {
	Version string // of the server, such as 26.1.5
	Own     bool   // the lab started it
	env     []string
}

// oldest is the first major version known to start nodes wherever the lab
// itself can: 20.10 asks for capabilities that the machine may not have.
const oldest = 23

// ErrNone means: no engine answers.
var ErrNone = errors.New("no Docker engine answers")

// Find returns the engine that the environment names (DOCKER_HOST, the
// current context, or the usual socket). It fails with ErrNone where none is.
func Find(ctx context.Context) (*Engine, error) {
	e := &Engine{}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, ErrNone
	}
	version, err := e.Run(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	e.Version = version
	return e, checkVersion(version)
}

// checkVersion refuses an engine that is too old.
func checkVersion(version string) error {
	number, _, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(number)
	if err != nil || major >= oldest {
		return nil // a build without a release's number is its maker's affair
	}
	return problem.New(problem.Preflight,
		fmt.Sprintf("update Docker to %d or newer, or set LAB_ENGINE=own: then the lab starts an engine beside it", oldest),
		"docker %s is too old for the lab's nodes", version)
}

// Use makes this process and all that it starts talk to the engine: kind calls
// the docker program and offers no other way.
func (e *Engine) Use() error {
	for _, v := range e.env {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// Env returns the variables, as NAME=VALUE, that lead to an engine of the
// lab's own. It is empty for one that was found.
func (e *Engine) Env() []string { return e.env }

// Run runs the docker program and returns what it prints, without spaces around.
func (e *Engine) Run(ctx context.Context, args ...string) (string, error) {
	return e.RunWith(ctx, nil, args...)
}

// RunWith is Run with something on standard input.
func (e *Engine) RunWith(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.program(), args...)
	cmd.Env = append(os.Environ(), e.env...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// program is the docker program that belongs to the engine.
func (e *Engine) program() string {
	for _, v := range e.env {
		if list, ok := strings.CutPrefix(v, "PATH="); ok {
			for _, dir := range filepath.SplitList(list) {
				if p := filepath.Join(dir, "docker"); isProgram(p) {
					return p
				}
			}
		}
	}
	return "docker"
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Load loads an archive of images.
func (e *Engine) Load(ctx context.Context, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	_, err = e.RunWith(ctx, f, "load", "--quiet")
	return errors.Join(err, f.Close())
}

// HasImage tells whether the engine knows an image by this name.
func (e *Engine) HasImage(ctx context.Context, name string) bool {
	_, err := e.Run(ctx, "image", "inspect", "--format", "{{.Id}}", name)
	return err == nil
}
