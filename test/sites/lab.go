package sites

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/registries"
)

// Options is how a site is started. The zero value has a vCenter as a customer's,
// whose machines are written down only, and a registry with a certificate.
type Options struct {
	VCenter   vcenter.Options // without Runtime, machines are written down only
	PlainHTTP bool            // the registry has no certificate
	// Wrap stands before the registry.
	Wrap func(http.Handler) http.Handler
}

// Lab is a site of this machine. Whoever may use the registry is in a file of it.
type Lab struct {
	VCenter   *vcenter.VCenter
	Registry  *httptest.Server
	Authority *registries.Authority // of the registry's certificate
	Dir       string                // of site.yaml, with the certificates of both authorities
	Site      Site                  // with both servers
	// How one logs in: what the vCenter gives an installer, and robot.
	VCenterLogin, RegistryLogin site.Login

	t        testing.TB
	htpasswd string
}

// Start starts a site that ends with the test.
func Start(t testing.TB, opts Options) *Lab {
	t.Helper()
	if opts.VCenter.Runtime == nil {
		opts.VCenter.Runtime = vcentertest.NewRecorder()
	}
	l := &Lab{t: t, Dir: t.TempDir(), Authority: registries.NewAuthority(t), VCenter: vcentertest.Start(t, opts.VCenter)}
	l.htpasswd = filepath.Join(l.Dir, "htpasswd")
	l.VCenterLogin = site.Login{Username: vcenter.Installer().Name, Password: site.NewSecret(vcenter.Installer().Password)}
	l.SetRegistryPassword("Registry-1!")
	served := registries.Options{Htpasswd: l.htpasswd, Wrap: opts.Wrap}
	if !opts.PlainHTTP {
		served.TLS = l.Authority.Server(time.Now().Add(90*24*time.Hour), false)
	}
	l.Registry = registries.Distribution(t, served)
	l.Site.Registry = Server{Address: registries.Host(l.Registry), PlainHTTP: opts.PlainHTTP, Login: "R"}
	if !opts.PlainHTTP {
		authority, err := os.ReadFile(l.Authority.File)
		require.NoError(t, err)
		l.Site.Registry.CAFile = l.write("registry-ca.crt", authority)
	}
	l.Site.VCenter = Server{Address: l.VCenter.URL().Host, CAFile: l.write("vcenter-ca.crt", l.VCenter.Authority()), Login: "V"}
	return l
}

// Placement finds the places of a site of the lab.
func (l *Lab) Placement(s *site.Site) *vsphere.Placement {
	l.t.Helper()
	v := s.Spec.VCenter
	c, err := vsphere.Connect(l.t.Context(), v.Server, vsphere.User{Name: l.VCenterLogin.Username, Password: l.VCenterLogin.Password.Reveal()},
		vsphere.Options{Thumbprint: l.VCenter.Thumbprint()})
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, c.Close(l.t.Context())) }()
	inventory, err := c.Inventory(l.t.Context())
	require.NoError(l.t, err)
	placement, faults := inventory.Place(vsphere.Names{Datacenter: v.Datacenter, Cluster: v.Cluster, Datastore: v.Datastore, Network: v.Network,
		Folder: v.Folder, TemplateFolder: v.TemplateFolder, ResourcePool: v.ResourcePool})
	require.Empty(l.t, faults)
	return placement
}

func (l *Lab) write(name string, data []byte) (path string) {
	l.t.Helper()
	path = filepath.Join(l.Dir, name)
	require.NoError(l.t, os.WriteFile(path, data, 0o600))
	return path
}

// SetRegistryPassword lets the registry have another password, and the site know it.
func (l *Lab) SetRegistryPassword(password string) {
	l.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(l.t, err)
	l.RegistryLogin = site.Login{Username: "robot", Password: site.NewSecret(password)}
	l.write(filepath.Base(l.htpasswd), []byte(l.RegistryLogin.Username+":"+string(hash)+"\n"))
}

// SetVCenterPassword does so with the vCenter.
func (l *Lab) SetVCenterPassword(password string) {
	l.VCenter.SetPassword(l.VCenterLogin.Username, password)
	l.VCenterLogin.Password = site.NewSecret(password)
}

// Environment has the logins as the variables that the site names.
func (l *Lab) Environment() map[string]string {
	return map[string]string{
		"R_USERNAME": l.RegistryLogin.Username, "R_PASSWORD": l.RegistryLogin.Password.Reveal(),
		"V_USERNAME": l.VCenterLogin.Username, "V_PASSWORD": l.VCenterLogin.Password.Reveal(),
	}
}
