package cli

import (
	"context"
	"path/filepath"

	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

var _ enterprise.Upgrader = (*upgrader.Upgrader)(nil)

// upgrader upgrades the cluster that the console installed: to the bundle that
// it was started with, and to those in the site's registry.
func (i *consoleInstallation) upgrader() *upgrader.Upgrader {
	return upgrader.New(upgrader.Options{Enter: i.enter, File: i.bundle, Open: i.trust.open})
}

// enter reads the site that was installed, and its logins from where it names them.
func (i *consoleInstallation) enter(ctx context.Context) (*upgrader.Surroundings, func() error, error) {
	if p, _ := i.Progress(ctx); p.State != enterprise.Done {
		return nil, nil, problem.New(problem.Failed, "install the cluster first", "there is no cluster to upgrade: %w", enterprise.ErrNotFound)
	}
	s, err := site.Load(i.sitePath())
	if err != nil {
		return nil, nil, err
	}
	around := &upgrader.Surroundings{Site: s, Dir: filepath.Join(i.dir, "steps")}
	if around.VCenter, err = s.VCenterLogin(site.LoginOptions{}); err != nil {
		return nil, nil, err
	}
	if around.Registry, err = s.RegistryLogin(site.LoginOptions{}); err != nil {
		return nil, nil, err
	}
	around.Verifier, err = sign.NewVerifier(ctx, i.trust.key)
	return around, func() error { return nil }, err
}
