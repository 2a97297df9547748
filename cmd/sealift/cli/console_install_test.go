package cli

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/sites"
)

// consoleLab is a site of this machine: its site.yaml, with the logins in the environment.
func consoleLab(t *testing.T) string {
	t.Helper()
	l := sites.Start(t, sites.Options{})
	t.Setenv("DOCKER_CONFIG", l.Dir)
	for name, value := range l.Environment() {
		t.Setenv(name, value)
	}
	return l.Site.Text(t)
}

// trusting is what the flag --key gives.
func trusting(key string) trust {
	var t trust
	t.addTo(&cobra.Command{})
	t.key = key
	return t
}

// ended waits until an installation goes on no more.
func ended(t *testing.T, i *consoleInstallation) enterprise.Progress {
	t.Helper()
	var p enterprise.Progress
	require.Eventually(t, func() bool {
		p, _ = i.Progress(t.Context())
		return p.State != enterprise.Running
	}, time.Minute, 50*time.Millisecond)
	return p
}

// The console checks a site and takes the first steps of an installation, which
// stops at the machine image that is none; a console that is started again goes
// on with what was under way.
func TestTheConsoleInstalls(t *testing.T) {
	text, dir := consoleLab(t), t.TempDir()
	key := sites.NewKey(t)
	bundle := key.Write(sites.NewBundle(t, sites.BundleOptions{}).Complete())
	a := &app{Streams: Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}
	first, stop := context.WithCancel(t.Context())
	i, err := a.newInstallation(first, dir, bundle, trusting(key.Public))
	require.NoError(t, err)
	example, err := i.Site(t.Context())
	require.NoError(t, err)
	require.Contains(t, example, "kind: Site")

	checks, err := i.Preflight(t.Context(), text)
	require.NoError(t, err)
	states := map[string]int{}
	for _, c := range checks {
		states[c.Status.Text]++
		t.Logf("%s: %s: %s", c.Name, c.Status.Text, c.Evidence)
	}
	require.Greater(t, states["Passed"], 10)

	require.NoError(t, i.Start(t.Context(), strings.ReplaceAll(text, "\n", "\r\n")))
	p := ended(t, i)
	require.Equal(t, enterprise.Stopped, p.State, p.Log)
	require.Equal(t, enterprise.Good, p.Steps[0].Status.State, p.Log)
	require.Equal(t, enterprise.Bad, p.Steps[1].Status.State, p.Log)
	require.Contains(t, p.Error, p.Steps[1].Name)
	kept, err := os.ReadFile(filepath.Join(dir, "site.yaml"))
	require.NoError(t, err)
	require.Equal(t, text, string(kept))
	_, err = i.cluster(t.Context())
	require.ErrorIs(t, err, enterprise.ErrNotFound)

	// As if the console had been killed while it installed.
	stop()
	i.run.Wait()
	require.NoError(t, durable.WriteFile(i.notePath(), []byte(enterprise.Running), 0o600))
	i, err = a.newInstallation(t.Context(), dir, bundle, trusting(key.Public))
	require.NoError(t, err)
	p = ended(t, i)
	require.Equal(t, "Done before", p.Steps[0].Status.Text)
	noSecrets(t, dir)
}

// noSecrets proves that no file of the installation has a password.
func noSecrets(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.NotContains(t, string(data), vcenter.Installer().Password, path)
		return err
	}))
}

func TestTheConsoleRefusesASite(t *testing.T) {
	dir := t.TempDir()
	a := &app{}
	i, err := a.newInstallation(t.Context(), dir, "none.tar", trusting("none.pub"))
	require.NoError(t, err)
	_, err = i.Preflight(t.Context(), "kind: Site\n")
	require.ErrorContains(t, err, "spec.registry")
	text := sites.Site{Registry: sites.Server{Address: "r:5000", Login: "R"}, VCenter: sites.Server{Address: "v", Login: "V"}}.Text(t)
	secret := strings.Replace(text, "credentials: {fromEnv: V}", "credentials: {password: hunter2}", 1)
	require.ErrorContains(t, i.Start(t.Context(), secret), "password")
	prompt := strings.Replace(text, "credentials: {fromEnv: V}", "credentials: prompt", 1)
	require.ErrorContains(t, i.Start(t.Context(), prompt), "there is no terminal")
	p, err := i.Progress(t.Context())
	require.NoError(t, err)
	require.Equal(t, enterprise.NotStarted, p.State)
}

// Nobody replaces the site of an installation that is under way, has stopped or
// is done: by a check never, and by a start only where another may begin.
func TestTheSiteOfAnInstallationStays(t *testing.T) {
	for _, name := range []string{"V_USERNAME", "V_PASSWORD", "R_USERNAME", "R_PASSWORD"} {
		t.Setenv(name, "x")
	}
	mine := sites.Site{Registry: sites.Server{Address: "r:5000", Login: "R"}, VCenter: sites.Server{Address: "v", Login: "V"}}.Text(t)
	theirs := strings.Replace(mine, "datacenter: north", "datacenter: south", 1)
	require.NotEqual(t, mine, theirs)
	ctx, stop := context.WithCancel(t.Context())
	stop() // what is begun ends at once, and the note stays
	for state, says := range map[enterprise.State]string{enterprise.Running: "is under way", enterprise.Done: "is installed", enterprise.Stopped: ""} {
		i := &consoleInstallation{app: &app{}, ctx: ctx, dir: t.TempDir(), bundle: "none.tar", trust: trusting("none.pub")}
		require.NoError(t, i.keep([]byte(mine)))
		i.progress = enterprise.Progress{State: state, Steps: []enterprise.Step{{Name: "boot"}}}
		_, err := i.Preflight(t.Context(), theirs)
		require.ErrorContains(t, err, says, state)
		kept, readErr := i.Site(t.Context())
		require.NoError(t, readErr)
		require.Equal(t, mine, kept, state)
		want := mine
		err = i.Start(t.Context(), theirs)
		if says == "" {
			want = theirs
			require.NoError(t, err)
			i.run.Wait()
		} else {
			require.ErrorContains(t, err, says)
			require.NotEmpty(t, problem.Remedies(err))
		}
		kept, readErr = i.Site(t.Context())
		require.NoError(t, readErr)
		require.Equal(t, want, kept, state)
	}
}
