package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/mirror/registry"
)

// siteFlags name an installed site: its file, and its folder on this host.
type siteFlags struct{ site, dir string }

func (f *siteFlags) addTo(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.site, "file", "f", "site.yaml", "the `site`")
	fl.StringVar(&f.dir, "dir", "", "`folder` of the installation on this host (default ~/.local/state/sealift/SITE)")
}

// load reads the site and completes the folder.
func (f *siteFlags) load() (*site.Site, error) {
	s, err := site.Load(f.site)
	if err != nil {
		return nil, err
	}
	if f.dir == "" {
		f.dir, err = stateDir(s.Metadata.Name)
	}
	return s, err
}

// parties are the two servers of a site. One that cannot be reached is nil,
// with the reason.
type parties struct {
	registry                  *registry.Client
	vcenter                   *vsphere.Client
	registryErr, vcenterErr   error
	registryLogin, vcenterLog site.Login
}

// reach connects to both, as far as they can be reached.
func (a *app) reach(ctx context.Context, s *site.Site) *parties {
	p := &parties{}
	login := a.loginOptions(ctx)
	if p.vcenterLog, p.vcenterErr = s.VCenterLogin(login); p.vcenterErr == nil {
		p.vcenter, p.vcenterErr = vcenterClient(ctx, s, p.vcenterLog)
	}
	if p.registryLogin, p.registryErr = s.RegistryLogin(login); p.registryErr == nil {
		p.registry, p.registryErr = registryClient(s, p.registryLogin)
	}
	return p
}

// close ends the session at vCenter.
func (p *parties) close(ctx context.Context) error {
	if p.vcenter == nil {
		return nil
	}
	return p.vcenter.Close(ctx)
}

func registryClient(s *site.Site, login site.Login) (*registry.Client, error) {
	r := s.Spec.Registry
	opts := registry.Options{Host: r.Endpoint, CAFile: s.Path(r.CAFile), TokenServers: r.TokenServers, Username: login.Username, Password: login.Password.Reveal()}
	if r.PlainHTTP {
		opts.PlainHTTP = []string{r.Endpoint}
	}
	return registry.NewClient(opts)
}

func vcenterClient(ctx context.Context, s *site.Site, login site.Login) (*vsphere.Client, error) {
	v := s.Spec.VCenter
	return vsphere.Connect(ctx, v.Server, vsphere.User{Name: login.Username, Password: login.Password.Reveal()},
		vsphere.Options{CAFile: s.Path(v.CAFile), Thumbprint: v.Thumbprint})
}

// errUnwell is what status ends with when not all is well.
var errUnwell = errors.New("not all is well")
