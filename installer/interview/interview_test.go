package interview_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/interview"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

// typist types one line a question.
type typist struct{ lines []string }

func (p *typist) Read(b []byte) (int, error) {
	if len(p.lines) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.lines[0]+"\n")
	p.lines = p.lines[1:]
	return n, nil
}

func ask(t *testing.T, dir string, login site.Login, lines ...string) (*site.Site, string) {
	t.Helper()
	prompt := func(string) (site.Login, error) { return login, nil }
	var out bytes.Buffer
	person := &typist{lines}
	text, err := interview.Ask(t.Context(), interview.Options{In: person, Out: &out, Dir: dir, Accessible: true, Login: site.LoginOptions{Prompt: prompt}})
	require.NoError(t, err, out.String())
	require.Empty(t, person.lines)
	require.NotContains(t, string(text), "Dark-Site")
	s, err := site.Parse(text, dir)
	require.NoError(t, err)
	return s, out.String()
}

func TestAskOffersWhatTheVCenterHas(t *testing.T) {
	v := vcentertest.Start(t, vcenter.Options{})
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), v.Authority(), 0o600))
	installer := vcenter.Installer()
	before := len(v.Sessions())
	s, shown := ask(t, dir, site.Login{Username: installer.Name, Password: site.NewSecret(installer.Password)},
		"north", "1",
		"registry.north.example", "", "", "",
		v.URL().Host, "ca.crt", "", "", "y",
		"1", "1", "3", "3", "2", "3", "4",
		"1", "1", "2", "1", "",
		"1", "10.0.0.10-10.0.0.20", "24", "10.0.0.1", "10.0.0.5", "10.0.0.2, 10.0.0.3", "", "10.0.0.2",
		"console.north.example")
	require.Len(t, v.Sessions(), before)
	require.Contains(t, shown, "/north/datastore/vmfs-ssd")
	p := s.Spec.VCenter
	require.Equal(t, "/north", p.Datacenter)
	require.Equal(t, "/north/host/cluster-a", p.Cluster)
	require.Equal(t, "/north/host/cluster-a/Resources/sealift", p.ResourcePool)
	require.Equal(t, []string{"10.0.0.2", "10.0.0.3"}, s.Spec.Network.Nameservers)
	require.Equal(t, 1, s.Spec.Cluster.ControlPlane.Replicas)
	require.Equal(t, "sealift", s.Spec.Registry.Prefix)
}

func TestAskAgainWhatIsWrong(t *testing.T) {
	s, shown := ask(t, ".", site.Login{},
		"North", "1", "north", "2",
		"registry.north.example", "", "", "",
		"vcenter.north.example", "", "", "", "n",
		"dc", "c", "pool", "ds", "net", "folder", "templates",
		"2", "1", "0", "1", "",
		"1", "10.0.0.10-10.0.0.12", "24", "10.0.0.1", "10.0.0.5", "10.0.0.2", "", "10.0.0.2",
		"1", "10.0.0.10-10.0.0.20", "24", "10.0.0.1", "10.0.0.5", "10.0.0.2", "", "10.0.0.2",
		"")
	require.Contains(t, shown, `metadata.name: "North" is not a name`)
	require.Contains(t, shown, "spec.network.addresses.range: has 3 addresses")
	require.Equal(t, site.BootstrapKind, s.Spec.Bootstrap)
	require.Equal(t, "templates", s.Spec.VCenter.TemplateFolder)
	require.Equal(t, 3, s.Spec.Cluster.ControlPlane.Replicas)
}
