package site_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/problem"
)

// A site goes to another host with what it names, and is the same there.
func TestFilesOfASite(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "site.yaml"), site.Example(), 0o600))
	s, err := site.Load(filepath.Join(dir, "site.yaml"))
	require.NoError(t, err)
	s.Spec.Registry.CAFile, s.Spec.VCenter.CAFile = "registry.pem", "vcenter.pem"
	_, err = s.Files(site.Login{}, site.Login{})
	require.ErrorContains(t, err, ".pem", "what it names is not there")
	for _, name := range []string{"registry.pem", "vcenter.pem"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}

	vcenter, registry := site.Login{Username: "ada", Password: site.NewSecret("a: \"b\" #")}, site.Login{Username: "robot$x", Password: site.NewSecret("p")}
	files, err := s.Files(vcenter, registry)
	require.NoError(t, err)
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(other, name), data, 0o600))
	}
	again, err := site.Load(filepath.Join(other, site.SiteFile))
	require.NoError(t, err)
	require.Equal(t, s.Spec.Cluster.Workers, again.Spec.Cluster.Workers)
	require.Equal(t, s.Spec.Cluster.ControlPlane, again.Spec.Cluster.ControlPlane)
	require.Equal(t, s.Spec.Network, again.Spec.Network)
	require.NotContains(t, string(files[site.SiteFile]), "redacted")
	ca, err := os.ReadFile(again.Path(again.Spec.VCenter.CAFile))
	require.NoError(t, err)
	require.Equal(t, "vcenter.pem", string(ca))
	login, err := again.VCenterLogin(site.LoginOptions{})
	require.NoError(t, err)
	require.Equal(t, vcenter, login)
	login, err = again.RegistryLogin(site.LoginOptions{})
	require.NoError(t, err)
	require.Equal(t, registry, login)
	once, err := again.Files(vcenter, registry)
	require.NoError(t, err)
	require.Equal(t, files, once, "what was written is written the same")
}

func TestFilesThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	s, err := site.Parse(site.Example(), dir)
	require.NoError(t, err)
	s.Spec.VCenter.Credentials = site.Credentials{File: "login.yaml"}
	s.Spec.Console.TLS = site.TLS{CertFile: "tls.crt", KeyFile: "tls.key"}
	err = s.CheckFiles()
	require.Equal(t, problem.Usage, problem.KindOf(err))
	names := []string{"registry-ca.crt", "vcenter-ca.crt", "login.yaml", "tls.crt", "tls.key"}
	for i, at := range []string{"registry.caFile", "vcenter.caFile", "vcenter.credentials.file", "console.tls.certFile", "console.tls.keyFile"} {
		require.ErrorContains(t, err, "spec."+at+": open "+filepath.Join(dir, names[i]))
		require.NoError(t, os.WriteFile(filepath.Join(dir, names[i]), nil, 0o600))
	}
	require.NoError(t, s.CheckFiles())
}
