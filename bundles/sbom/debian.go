package sbom

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	syftlicense "github.com/anchore/syft/syft/license"
	"github.com/anchore/syft/syft/linux"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/generic"
)

// debianCataloger reads dpkg's database, also that of distroless images, and
// the copyright files beside it. It stands in for syft's own, which would bring
// the client libraries of three clouds along.
func debianCataloger() pkg.Cataloger {
	return generic.NewCataloger("dpkg").WithParserByGlobs(parseDpkg, "**/lib/dpkg/status", "**/lib/dpkg/status.d/*")
}

func parseDpkg(ctx context.Context, r file.Resolver, env *generic.Environment, in file.LocationReadCloser) ([]pkg.Package, []artifact.Relationship, error) {
	if path.Ext(in.RealPath) == ".md5sums" { // beside the packages of distroless images
		return nil, nil, nil
	}
	var out []pkg.Package
	reader := textproto.NewReader(bufio.NewReader(in))
	for {
		h, err := reader.ReadMIMEHeader()
		if name := h.Get("Package"); name != "" && installed(h.Get("Status")) {
			p := pkg.Package{Name: name, Version: h.Get("Version"), Type: pkg.DebPkg, PURL: debianURL(h, env.LinuxRelease)}
			p.Licenses = pkg.NewLicenseSet(debianLicenses(ctx, r, name)...)
			out = append(out, p)
		}
		if errors.Is(err, io.EOF) {
			return out, nil, nil
		}
		if err != nil {
			return out, nil, fmt.Errorf("package %d: %w", len(out)+1, err)
		}
	}
}

// installed tells whether a package is there. Distroless images state nothing.
func installed(status string) bool {
	return status == "" || strings.HasSuffix(status, " installed") || strings.HasSuffix(status, " unpacked") || strings.HasSuffix(status, " half-configured")
}

// debianURL returns the package URL of a package. Source: purl-spec, types/deb-definition.
func debianURL(h textproto.MIMEHeader, release *linux.Release) string {
	if release == nil {
		return ""
	}
	source, version, _ := strings.Cut(h.Get("Source"), " ")
	if version = strings.Trim(version, "()"); version != "" {
		source += "@" + version
	}
	return packageurl.NewPackageURL(packageurl.TypeDebian, release.ID, h.Get("Package"), h.Get("Version"),
		pkg.PURLQualifiers(map[string]string{pkg.PURLQualifierArch: h.Get("Architecture"), pkg.PURLQualifierUpstream: source}, release), "").ToString()
}

// maxCopyright is how much of a copyright file, in bytes, is read.
const maxCopyright = 1 << 20

// debianLicenses returns the licenses that the copyright file of a package
// names; none when there is no such file.
func debianLicenses(ctx context.Context, r file.Resolver, name string) []pkg.License {
	l := r.RelativeFileByPath(file.Location{}, "/usr/share/doc/"+name+"/copyright")
	if l == nil {
		return nil
	}
	rc, err := r.FileContentsByLocation(*l)
	if err != nil {
		return nil
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(rc, maxCopyright))
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if names := copyrightLicenses(string(data)); len(names) > 0 {
		return pkg.NewLicensesFromValuesWithContext(ctx, names...)
	}
	return []pkg.License{{Value: name, Contents: string(data)}}
}

// copyrightLicenses returns what a copyright file states in a form for
// machines, else the common licenses that its text points to.
// Source: Debian, "Machine-readable debian/copyright file" 1.0.
func copyrightLicenses(text string) []string {
	pattern := regexp.MustCompile(`(?m)^License:[ \t]*(\S.*)$`)
	if !strings.HasPrefix(strings.TrimSpace(text), "Format:") {
		pattern = regexp.MustCompile(`/usr/share/common-licenses/([A-Za-z0-9+.-]*[A-Za-z0-9+])`)
	}
	var out []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		out = append(out, debianExpression(strings.TrimSpace(m[1]))...)
	}
	return out
}

// debianExpression turns what a copyright file calls a license into SPDX
// expressions, all of which apply. What SPDX cannot say stays as it is.
func debianExpression(text string) []string {
	var all []string
	for _, part := range strings.Split(text, " and ") {
		var choice []string
		for _, name := range strings.Split(part, " or ") {
			expression, err := syftlicense.ParseExpression(debianName(name))
			if err != nil {
				expression = ""
			}
			choice = append(choice, expression)
		}
		switch {
		case len(choice) > 1 && part != text, strings.Contains(text, ","): // which belongs to which is not for us to say
			return []string{text}
		case slices.Contains(choice, ""):
			all = append(all, part)
		default:
			all = append(all, strings.Join(choice, " OR "))
		}
	}
	return all
}

// debianName returns the name in SPDX of a license that Debian calls otherwise.
func debianName(name string) string {
	switch name {
	case "Expat":
		return "MIT"
	case "Artistic":
		return "Artistic-1.0-Perl"
	case "GFDL-NIV-1.3":
		return "GFDL-1.3-no-invariants-only"
	case "GFDL-NIV-1.3+":
		return "GFDL-1.3-no-invariants-or-later"
	default:
		return name
	}
}
