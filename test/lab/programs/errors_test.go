package programs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

func TestCompileErrorsHaveARemedy(t *testing.T) {
	for stderr, remedy := range map[string]string{
		"write /tmp/x: no space left on device":              "make room",
		"compile: signal: killed":                            "out of memory",
		"dial tcp: lookup proxy.golang.org: no such host":    "GOPROXY",
		"main.go:1:1: expected 'package', found 'something'": "",
	} {
		err := compileError(t.Context(), Program{Name: "kubelet"}, errors.New("exit status 1"), stderr)
		require.ErrorContains(t, err, "compiling kubelet: exit status 1\n"+stderr)
		if remedy == "" {
			require.Empty(t, problem.Remedies(err))
			continue
		}
		require.Contains(t, problem.Remedies(err)[0], remedy)
	}
}

func TestInterruptedCompileSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, compileError(ctx, Program{}, errors.New("signal: killed"), ""), context.Canceled)
}

func TestBuild(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	dir := filepath.Join(root, "small")
	require.NoError(t, os.Mkdir(dir, 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("go.mod", "module example.org/small\n\ngo 1.26.0\n")
	write("main.go", "package main\n\nfunc main() {}\n")
	m := Module{Name: "small", Programs: []Program{{"small", "."}}}
	step, err := m.Step(root, Options{Log: t.Logf})
	require.NoError(t, err)
	require.NoError(t, step.Make(t.Context(), out))
	require.FileExists(t, filepath.Join(out, "small"))

	write("main.go", "package main\n\nfunc main() { missing() }\n")
	changed, err := m.Step(root, Options{})
	require.NoError(t, err)
	require.NotEqual(t, step.Key(), changed.Key())
	require.ErrorContains(t, changed.Make(t.Context(), out), "undefined: missing")
}

func TestProgramsAreToldTheirVersion(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/x\n\nrequire example.org/m v1.34.4-rc.1\n"), 0o644))
	m := Module{Flags: "-X a.b=c", Stamps: []Stamp{
		{Module: "example.org/m", Variable: "main.Version"},
		{Module: "example.org/m", Package: "example.org/m/version"},
	}}
	flags, err := m.linkerFlags(dir)
	require.NoError(t, err)
	require.Equal(t, "-s -w -X main.Version=v1.34.4-rc.1 -X example.org/m/version.gitVersion=v1.34.4-rc.1"+
		" -X example.org/m/version.gitMajor=1 -X example.org/m/version.gitMinor=34 -X example.org/m/version.gitTreeState=clean"+
		" -X example.org/m/version.gitCommit=unknown -X example.org/m/version.buildDate=2026-01-01T00:00:00Z -X a.b=c", flags)

	m.Stamps = append(m.Stamps, Stamp{Module: "example.org/absent", Variable: "main.Version"})
	_, err = m.linkerFlags(dir)
	require.ErrorContains(t, err, "does not require example.org/absent")
}
