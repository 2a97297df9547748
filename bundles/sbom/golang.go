package sbom

import (
	"context"
	"debug/buildinfo"
	"io"
	"runtime/debug"
	"strings"

	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/generic"
)

// programTypes are the MIME types of programs and their libraries.
func programTypes() []string {
	return []string{"application/x-executable", "application/x-sharedlib", "application/x-elf", "application/x-object",
		"application/x-mach-binary", "application/vnd.microsoft.portable-executable"}
}

// goCataloger reads what Go writes of a program's modules into the program.
func goCataloger() pkg.Cataloger {
	return generic.NewCataloger("go").WithParserByMimeTypes(parseGo, programTypes()...)
}

func parseGo(ctx context.Context, _ file.Resolver, _ *generic.Environment, in file.LocationReadCloser) ([]pkg.Package, []artifact.Relationship, error) {
	at, ok := in.ReadCloser.(io.ReaderAt)
	if !ok {
		return nil, nil, nil
	}
	info, err := buildinfo.Read(at)
	if err != nil {
		return nil, nil, nil // most programs are not written in Go
	}
	modules := info.Deps
	switch domain, _, _ := strings.Cut(info.Path, "/"); {
	case info.Main.Path != "":
		modules = append(modules, &info.Main)
	case strings.Contains(domain, "."): // built without modules; without a dot it is a part of Go
		modules = append(modules, &debug.Module{Path: info.Path})
	}
	var out []pkg.Package
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, goPackage(m))
	}
	library := goPackage(&debug.Module{Path: "stdlib", Version: strings.TrimPrefix(strings.Fields(info.GoVersion + " ")[0], "go")})
	library.Licenses = pkg.NewLicenseSet(pkg.NewLicensesFromValuesWithContext(ctx, "BSD-3-Clause")...)
	return append(out, library), nil, nil
}

// goPackage returns the package of a module. Source: purl-spec, types/golang-definition.
func goPackage(m *debug.Module) pkg.Package {
	version := m.Version
	if version == "(devel)" {
		version = ""
	}
	namespace, name := "", m.Path
	if i := strings.LastIndexByte(m.Path, '/'); i >= 0 {
		namespace, name = m.Path[:i], m.Path[i+1:]
	}
	return pkg.Package{Name: m.Path, Version: version, Type: pkg.GoModulePkg,
		PURL: packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, version, nil, "").ToString()}
}
