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

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/registries"
)

// smallEnterprise is a signed bundle with everything that the release that
// ships names, but small: its machine image is none. It returns bundle and key.
func smallEnterprise(t *testing.T) (file, key string) {
	t.Helper()
	text, err := fs.ReadFile(manifests.Enterprise(), release.FileName)
	require.NoError(t, err)
	r, err := release.Parse(text)
	require.NoError(t, err)
	short := strings.Split(string(text), "\n  console:")[0] + "\n"
	b := archivetest.New(t)
	b.File(archive.RootFile, release.FileName, short)
	b.File(archive.RootFile, r.Spec.Template.File, "no machine image")
	for _, p := range r.Spec.Providers {
		b.File(archive.RootManifests, p.Manifests, "kind: "+p.Manifests)
	}
	for _, a := range r.Spec.Addons {
		b.File(archive.RootManifests, a.Manifests, "kind: "+a.Manifests)
	}
	i := r.Spec.Images
	for _, ref := range []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP} {
		b.Root(ref, b.Image("amd64", ref))
	}
	return signed(t, b)
}

func signed(t *testing.T, b *archivetest.Builder) (file, key string) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "cosign")
	passphrase := func() ([]byte, error) { return []byte("secret"), nil }
	require.NoError(t, sign.WriteKeyPair(prefix, passphrase))
	signer, err := sign.NewSigner(t.Context(), prefix+".key", sign.Options{Passphrase: passphrase})
	require.NoError(t, err)
	layout, file := b.Layout(), filepath.Join(t.TempDir(), "enterprise.tar")
	w, err := archive.Create(file, layout, archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	signature, err := signer.Sign(t.Context(), layout.StatementBytes())
	require.NoError(t, err)
	require.NoError(t, w.Finish(signature))
	return file, prefix + ".pub"
}

const consoleSite = `apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  registry: {endpoint: "REGISTRY", prefix: sealift, caFile: REGISTRY-CA, credentials: {fromEnv: R}}
  vcenter:
    server: "VCENTER"
    caFile: VCENTER-CA
    credentials: {fromEnv: V}
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    templateFolder: templates
    resourcePool: cluster-a/Resources/sealift
  network: {addresses: {dhcp: true}, controlPlaneEndpoint: 192.0.2.10}
  cluster: {controlPlane: {replicas: 1, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}}
`

// consoleLab is a site of this machine, its site.yaml, and the logins in the environment.
func consoleLab(t *testing.T) string {
	t.Helper()
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	authority, dir := registries.NewAuthority(t), t.TempDir()
	registry := registries.Distribution(t, registries.Options{TLS: authority.Server(time.Now().Add(90*24*time.Hour), false)})
	ca := filepath.Join(dir, "vcenter-ca.crt")
	require.NoError(t, os.WriteFile(ca, v.Authority(), 0o600))
	installer := vcenter.Installer()
	t.Setenv("DOCKER_CONFIG", dir)
	for name, value := range map[string]string{"R_USERNAME": "robot", "R_PASSWORD": "pass", "V_USERNAME": installer.Name, "V_PASSWORD": installer.Password} {
		t.Setenv(name, value)
	}
	return strings.NewReplacer("REGISTRY-CA", authority.File, "REGISTRY", registries.Host(registry), "VCENTER-CA", ca, "VCENTER", v.URL().Host).Replace(consoleSite)
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
	bundle, key := smallEnterprise(t)
	a := &app{Streams: Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}
	first, stop := context.WithCancel(t.Context())
	i, err := a.newInstallation(first, dir, bundle, trusting(key))
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
	i, err = a.newInstallation(t.Context(), dir, bundle, trusting(key))
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
	secret := strings.Replace(consoleSite, "credentials: {fromEnv: V}", "credentials: {password: hunter2}", 1)
	require.ErrorContains(t, i.Start(t.Context(), secret), "password")
	prompt := strings.Replace(strings.NewReplacer("REGISTRY", "r:5000", "VCENTER", "v").Replace(consoleSite), "credentials: {fromEnv: V}", "credentials: prompt", 1)
	require.ErrorContains(t, i.Start(t.Context(), prompt), "there is no terminal")
	p, err := i.Progress(t.Context())
	require.NoError(t, err)
	require.Equal(t, enterprise.NotStarted, p.State)
}
