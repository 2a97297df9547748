package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
)

// suite is the release of Debian whose Docker asks only for the capabilities
// that there are.
const suite = "trixie"

// PackagesStep returns the step that unpacks an engine. osRelease is the path
// of the file that names this machine's system, "" for the usual one.
func PackagesStep(osRelease string) *cache.Step {
	if osRelease == "" {
		osRelease = "/etc/os-release"
	}
	return &cache.Step{
		Name:   "engine",
		Inputs: []string{suite, "docker.io docker-cli containerd runc"},
		Make: func(ctx context.Context, dir string) error {
			release, err := codename(osRelease)
			if err != nil {
				return err
			}
			return unpack(ctx, dir, release)
		},
	}
}

// codename returns the name of this machine's release of Debian.
func codename(osRelease string) (string, error) {
	data, err := os.ReadFile(osRelease)
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"`)
	}
	if values["ID"] != "debian" || values["VERSION_CODENAME"] == "" {
		return "", problem.New(problem.Preflight, fmt.Sprintf("install Docker %d or newer and start it", oldest),
			"no Docker engine answers, and the lab can unpack one only on Debian, not on %q", values["PRETTY_NAME"])
	}
	return values["VERSION_CODENAME"], nil
}

// unpack downloads the packages with lists and caches of its own, so that the
// machine's stay as they are, and unpacks them. runc uses libraries of the
// machine, so it is of the machine's own release.
func unpack(ctx context.Context, dir, release string) error {
	apt := filepath.Join(dir, "apt")
	debs := filepath.Join(dir, "debs")
	for _, d := range []string{debs, apt + "/lists/partial", apt + "/cache/archives/partial"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	sources := ""
	for _, s := range []string{suite, release} {
		sources += "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian " + s + " main\n"
		if s == release && release == suite {
			break
		}
	}
	if err := os.WriteFile(apt+"/sources.list", []byte(sources), 0o644); err != nil {
		return err
	}
	options := []string{"-qq", "-oDir::Etc::sourcelist=" + apt + "/sources.list", "-oDir::Etc::sourceparts=/dev/null",
		"-oDir::State::lists=" + apt + "/lists", "-oDir::Cache=" + apt + "/cache", "-oAPT::Sandbox::User=root"}
	if err := run(ctx, debs, "apt-get", append(options, "update")...); err != nil {
		return err
	}
	if err := run(ctx, debs, "apt-get", append(options, "download",
		"docker.io/"+suite, "docker-cli/"+suite, "containerd/"+suite, "runc/"+release)...); err != nil {
		return err
	}
	return extract(ctx, dir, debs, apt)
}

func extract(ctx context.Context, dir, debs, apt string) error {
	packages, err := filepath.Glob(debs + "/*.deb")
	if err != nil {
		return err
	}
	for _, p := range packages {
		if err := run(ctx, debs, "dpkg-deb", "-x", p, filepath.Join(dir, "root")); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(debs); err != nil {
		return err
	}
	return os.RemoveAll(apt)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return problem.New(problem.Failed, "reach deb.debian.org, or start a Docker engine of this machine",
			"unpacking an engine: %s: %w: %s", name, err, strings.TrimSpace(out.String()))
	}
	return nil
}
