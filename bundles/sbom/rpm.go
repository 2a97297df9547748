package sbom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/linux"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/generic"

	_ "modernc.org/sqlite" // the form of RPM's database since 2021
)

// rpmCataloger reads RPM's database in all of its forms. syft's own cataloger
// works only within the whole of syft.
func rpmCataloger(tempDir string) pkg.Cataloger {
	return generic.NewCataloger("rpm").WithParserByGlobs(
		func(ctx context.Context, _ file.Resolver, env *generic.Environment, in file.LocationReadCloser) ([]pkg.Package, []artifact.Relationship, error) {
			found, err := readRPM(in, tempDir)
			var out []pkg.Package
			for _, p := range found {
				if p == nil || p.Name == "" || p.Name == "gpg-pubkey" { // a key is kept as if it were a package
					continue
				}
				version := p.Version + "-" + p.Release
				if p.Epoch != nil && *p.Epoch != 0 {
					version = strconv.Itoa(*p.Epoch) + ":" + version
				}
				out = append(out, pkg.Package{Name: p.Name, Version: version, Type: pkg.RpmPkg, PURL: rpmURL(p, env.LinuxRelease),
					Licenses: pkg.NewLicenseSet(pkg.NewLicensesFromValuesWithContext(ctx, p.License)...)})
			}
			return out, nil, err
		}, pkg.RpmDBGlob)
}

// readRPM reads a database out of a copy: the library wants a path.
func readRPM(in io.Reader, tempDir string) (found []*rpmdb.PackageInfo, err error) {
	f, err := os.CreateTemp(tempDir, "sealift-sbom-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := io.Copy(f, in); err != nil {
		return nil, err
	}
	db, err := rpmdb.Open(f.Name())
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.ListPackages()
}

// rpmURL returns the package URL of a package. Source: purl-spec, types/rpm-definition.
func rpmURL(p *rpmdb.PackageInfo, release *linux.Release) string {
	vendor, epoch := "", ""
	if release != nil {
		if vendor = release.ID; vendor == "rhel" {
			vendor = "redhat"
		}
	}
	if p.Epoch != nil {
		epoch = strconv.Itoa(*p.Epoch)
	}
	return packageurl.NewPackageURL(packageurl.TypeRPM, vendor, p.Name, p.Version+"-"+p.Release,
		pkg.PURLQualifiers(map[string]string{pkg.PURLQualifierArch: p.Arch, pkg.PURLQualifierEpoch: epoch,
			pkg.PURLQualifierUpstream: p.SourceRpm}, release), "").ToString()
}
