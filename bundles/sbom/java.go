package sbom

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"path"
	"regexp"
	"strings"

	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/generic"
)

// javaCataloger reads what Maven writes into Java archives, also into those
// within others. syft's own cataloger works only within the whole of syft.
func javaCataloger() pkg.Cataloger {
	return generic.NewCataloger("java").WithParserByGlobs(parseJava, "**/*.jar", "**/*.war", "**/*.ear")
}

// Limits of Java archives.
const (
	maxJarDepth  = 3
	maxInnerJar  = 64 << 20 // bytes of an archive within an archive
	maxInnerJars = 2000
	maxJavaFile  = 1 << 20 // bytes of a file that describes an archive
)

func parseJava(ctx context.Context, _ file.Resolver, _ *generic.Environment, in file.LocationReadCloser) ([]pkg.Package, []artifact.Relationship, error) {
	at, ok := in.ReadCloser.(interface {
		io.ReaderAt
		Size() int64
	})
	if !ok {
		return nil, nil, nil
	}
	j := &jarReader{ctx: ctx}
	err := j.read(at, at.Size(), path.Base(in.RealPath), 1)
	return j.found, nil, err
}

type jarReader struct {
	ctx   context.Context //nolint:containedctx // lives as long as one archive is read
	found []pkg.Package
	inner int
}

// read adds the packages of one archive.
func (j *jarReader) read(at io.ReaderAt, size int64, name string, depth int) error {
	z, err := zip.NewReader(at, size)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	var manifest textproto.MIMEHeader
	before := len(j.found)
	for _, f := range z.File {
		switch base := path.Base(f.Name); {
		case j.ctx.Err() != nil:
			return j.ctx.Err()
		case f.Name == "META-INF/MANIFEST.MF":
			if data, err := readZipped(f, maxJavaFile); err == nil {
				manifest, _ = textproto.NewReader(bufio.NewReader(bytes.NewReader(append(data, "\n\n"...)))).ReadMIMEHeader()
			}
		case base == "pom.properties" && strings.HasPrefix(f.Name, "META-INF/maven/"):
			if data, err := readZipped(f, maxJavaFile); err == nil {
				j.addMaven(properties(data))
			}
		case isJar(base):
			errs = append(errs, j.readInner(f, depth))
		}
	}
	if len(j.found) == before {
		j.addNamed(name, cmp.Or(manifest.Get("Implementation-Version"), manifest.Get("Bundle-Version")))
	}
	if l := manifest.Get("Bundle-License"); l != "" && len(j.found) > before {
		j.found[before].Licenses = pkg.NewLicenseSet(pkg.NewLicensesFromValuesWithContext(j.ctx, l)...)
	}
	return errors.Join(errs...)
}

func (j *jarReader) readInner(f *zip.File, depth int) error {
	if j.inner++; depth == maxJarDepth || j.inner > maxInnerJars {
		return fmt.Errorf("%s: more than %d archives, or more than %d deep", f.Name, maxInnerJars, maxJarDepth)
	}
	data, err := readZipped(f, maxInnerJar)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return j.read(bytes.NewReader(data), int64(len(data)), path.Base(f.Name), depth+1)
}

func isJar(name string) bool {
	switch path.Ext(name) {
	case ".jar", ".war", ".ear":
		return true
	default:
		return false
	}
}

// readZipped reads a file of an archive, up to limit bytes.
func readZipped(f *zip.File, limit int64) ([]byte, error) {
	rc, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}

// properties reads the keys and values of a file of properties.
func properties(data []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, "="); ok {
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

func (j *jarReader) addMaven(p map[string]string) {
	if p["artifactId"] == "" {
		return
	}
	j.found = append(j.found, pkg.Package{Name: p["groupId"] + ":" + p["artifactId"], Version: p["version"], Type: pkg.JavaPkg,
		PURL: packageurl.NewPackageURL(packageurl.TypeMaven, p["groupId"], p["artifactId"], p["version"], nil, "").ToString()})
}

// addNamed adds an archive that was not made by Maven: all that is sure of it
// is the name of its file.
func (j *jarReader) addNamed(name, version string) {
	name = strings.TrimSuffix(name, path.Ext(name))
	if m := regexp.MustCompile(`^(.+?)-([0-9].*)$`).FindStringSubmatch(name); m != nil {
		name, version = m[1], m[2]
	}
	j.found = append(j.found, pkg.Package{Name: name, Version: version, Type: pkg.JavaPkg})
}
