package definition

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// Image is one image, written as its reference alone or as a mapping.
type Image struct {
	Ref       string   `json:"ref"`
	Platforms []string `json:"platforms,omitempty"`
}

// ShortField implements document.ShortForm.
func (Image) ShortField() string { return "ref" }

// Reference returns the reference in full: with registry, and with the tag
// latest when it has neither tag nor digest.
func (i Image) Reference() (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(i.Ref)
	if err != nil {
		return nil, err
	}
	return reference.TagNameOnly(named), nil
}

// Chart is one Helm chart: of a classic repository (Repo, Name, Version), of a
// registry (Ref) or of this host (Path, a folder or a .tgz file).
type Chart struct {
	Repo    string `json:"repo,omitempty"` // URL of the folder that index.yaml lies in
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"` // may be a range, such as ^25.8
	Ref     string `json:"ref,omitempty"`     // oci://HOST/PATH/NAME:VERSION
	Path    string `json:"path,omitempty"`
	// Keyring is a file of public keys; the chart's provenance must be good by one of them.
	Keyring   string `json:"keyring,omitempty"`
	Namespace string `json:"namespace,omitempty"` // that the chart is rendered for
	// Values are files that are merged in their order, as by helm -f.
	Values   []string  `json:"values,omitempty"`
	Variants []Variant `json:"variants,omitempty"`
}

// OCIPrefix begins the reference of a chart or pack of a registry.
const OCIPrefix = "oci://"

// Variant is another set of values that a site may choose. What it needs
// travels as well.
type Variant struct {
	Name    string   `json:"name"`
	Presets []string `json:"presets,omitempty"` // of a pack
	Values  []string `json:"values,omitempty"`  // files, merged after those of the chart or pack
}

// Pack is one pack: of this host (Path, a folder or an archive) or of a
// registry (Ref).
type Pack struct {
	Path     string    `json:"path,omitempty"`
	Ref      string    `json:"ref,omitempty"` // oci://HOST/PATH/NAME:VERSION
	Presets  []string  `json:"presets,omitempty"`
	Values   []string  `json:"values,omitempty"` // files, merged after the pack's own and the presets
	Variants []Variant `json:"variants,omitempty"`
}

// ShortField implements document.ShortForm.
func (Pack) ShortField() string { return "path" }

// Manifests are plain Kubernetes manifests that travel as one artifact.
type Manifests struct {
	Path string `json:"path"`           // a file, a folder or a pattern such as ./manifests/*.yaml
	Name string `json:"name,omitempty"` // "" means the name of the file or folder
}

// ShortField implements document.ShortForm.
func (Manifests) ShortField() string { return "path" }

// File is any file: a machine image, an installer, a program.
type File struct {
	Path    string `json:"path"`
	SHA256  string `json:"sha256,omitempty"`  // in hexadecimal; saves a pass over the file
	Name    string `json:"name,omitempty"`    // "" means that of the file
	Version string `json:"version,omitempty"` // "" means that of the bundle
}

// ShortField implements document.ShortForm.
func (File) ShortField() string { return "path" }

// VerifyRule says by which key the signatures of images have to be good.
type VerifyRule struct {
	Match string `json:"match"` // pattern of references without tag, such as quay.io/jetstack/*
	Key   string `json:"key"`   // public key: a file, a KMS or a PKCS#11 URI; "none" asks for no signature
}

// KeyNone is the key of a rule that asks for no signature.
const KeyNone = "none"

// Allowance is what may be missing, and why.
type Allowance struct {
	Match  string `json:"match"` // pattern of references without tag, or of charts
	Reason string `json:"reason,omitempty"`
}

// ShortField implements document.ShortForm.
func (Allowance) ShortField() string { return "match" }

// Matches tells whether a pattern fits a name in full. In a pattern, * stands
// for any part of one element of a path, and ** at the end for all that follows.
func Matches(pattern, name string) bool {
	if base, ok := strings.CutSuffix(pattern, "**"); ok {
		return strings.HasPrefix(name, base)
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

var (
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	chartPattern  = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]*$`)
)

// problems collects what is wrong, each with the path of its field.
type problems []string

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, path+": "+fmt.Sprintf(format, args...))
}

func (s *Spec) validate() []string {
	var out problems
	if len(s.Images)+len(s.Charts)+len(s.Packs)+len(s.Manifests)+len(s.Files) == 0 {
		out.add("spec", "there is nothing to carry: it has no images, charts, packs, manifests or files")
	}
	out = append(out, imageProblems(s.Images)...)
	once := map[string]string{}
	for i, c := range s.Charts {
		at := fmt.Sprintf("spec.charts[%d]", i)
		c.validate(&out, at)
		unique(&out, once, at, "chart "+c.Repo+" "+c.Name+" "+c.Version+c.Ref+c.Path)
	}
	for i, p := range s.Packs {
		at := fmt.Sprintf("spec.packs[%d]", i)
		p.validate(&out, at)
		unique(&out, once, at, "pack "+p.Path+p.Ref)
	}
	for i, m := range s.Manifests {
		at := fmt.Sprintf("spec.manifests[%d]", i)
		m.validate(&out, at)
		unique(&out, once, at, "manifests "+m.Path)
	}
	for i, f := range s.Files {
		at := fmt.Sprintf("spec.files[%d]", i)
		f.validate(&out, at)
		unique(&out, once, at, "file "+f.Path)
	}
	for i, r := range s.Verify {
		r.validate(&out, fmt.Sprintf("spec.verify[%d]", i))
	}
	for i, a := range s.AllowMissing {
		checkPattern(&out, fmt.Sprintf("spec.allowMissing[%d].match", i), a.Match)
	}
	return out
}

func unique(out *problems, once map[string]string, at, what string) {
	if first, ok := once[what]; ok {
		out.add(at, "is the same as %s", first)
		return
	}
	once[what] = at
}

func imageProblems(images []Image) problems {
	var out problems
	seen := map[string]int{}
	for i, img := range images {
		at := fmt.Sprintf("spec.images[%d]", i)
		named, err := img.Reference()
		if err != nil {
			out.add(at, "%q is not an image reference: %v", img.Ref, err)
			continue
		}
		if first, ok := seen[named.String()]; ok {
			out.add(at, "%s is the same as spec.images[%d]", img.Ref, first)
		} else {
			seen[named.String()] = i
		}
		if d, ok := named.(reference.Digested); ok && !digestPattern.MatchString(d.Digest().String()) {
			out.add(at, "%s: only sha256 digests are carried", img.Ref)
		}
		out = append(out, platformProblems(at+".platforms", img.Platforms)...)
	}
	return out
}

func (c Chart) validate(out *problems, at string) {
	switch {
	case one(c.Repo, c.Ref, c.Path) != 1:
		out.add(at, "needs exactly one of repo (with name and version), ref and path")
	case c.Repo != "":
		if u, err := url.Parse(c.Repo); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			out.add(at+".repo", "%q is not a URL such as https://charts.example.org", c.Repo)
		} else if u.User != nil {
			out.add(at+".repo", "holds credentials; take them out: a definition travels with its bundle")
		}
		if !chartPattern.MatchString(c.Name) {
			out.add(at+".name", "%q is not the name of a chart", c.Name)
		}
		if c.Version == "" {
			out.add(at+".version", "is empty; give a version or a range, such as ^25.8")
		}
	case c.Name != "" || c.Version != "":
		out.add(at, "name and version go with repo only: ref has its tag, path its Chart.yaml")
	case c.Ref != "":
		checkOCI(out, at+".ref", c.Ref)
	}
	checkVariants(out, at, c.Variants)
	for i, v := range c.Variants {
		if len(v.Presets) > 0 {
			out.add(fmt.Sprintf("%s.variants[%d].presets", at, i), "only packs have presets")
		}
	}
}

func (p Pack) validate(out *problems, at string) {
	if one(p.Path, p.Ref) != 1 {
		out.add(at, "needs exactly one of path and ref")
	} else if p.Ref != "" {
		checkOCI(out, at+".ref", p.Ref)
	}
	checkVariants(out, at, p.Variants)
}

func (m Manifests) validate(out *problems, at string) {
	if m.Path == "" {
		out.add(at+".path", "is empty")
	} else if _, err := path.Match(m.Path, ""); err != nil {
		out.add(at+".path", "%q is not a pattern", m.Path)
	}
	if m.Name != "" && !namePattern.MatchString(m.Name) {
		out.add(at+".name", "%q is not a name of lower-case letters, digits, '-' and '.' of at most 63", m.Name)
	}
}

func (f File) validate(out *problems, at string) {
	if f.Path == "" {
		out.add(at+".path", "is empty")
	}
	if f.SHA256 != "" && !sha256Pattern.MatchString(f.SHA256) {
		out.add(at+".sha256", "%q is not 64 hexadecimal digits in lower case", f.SHA256)
	}
	if f.Name != "" && !namePattern.MatchString(f.Name) {
		out.add(at+".name", "%q is not a name of lower-case letters, digits, '-' and '.' of at most 63", f.Name)
	}
	if f.Version != "" && !versionPattern.MatchString(f.Version) {
		out.add(at+".version", "%q is not a version such as 1.4.0", f.Version)
	}
}

func (r VerifyRule) validate(out *problems, at string) {
	checkPattern(out, at+".match", r.Match)
	if r.Key == "" {
		out.add(at+".key", "is empty; give a public key, or %q to ask for no signature", KeyNone)
	}
}

func one(values ...string) int {
	n := 0
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

func checkOCI(out *problems, at, ref string) {
	rest, ok := strings.CutPrefix(ref, OCIPrefix)
	named, err := reference.ParseNormalizedNamed(rest)
	if !ok || err != nil || reference.IsNameOnly(named) {
		out.add(at, "%q is not oci://HOST/PATH/NAME:VERSION", ref)
	}
}

func checkPattern(out *problems, at, pattern string) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		out.add(at, "%q is not a pattern such as quay.io/jetstack/*", pattern)
	}
	last := strings.LastIndex(pattern, "/") + 1
	if end := strings.IndexAny(pattern[last:], ":@"); end >= 0 { // it would never fit
		out.add(at, "%q: patterns are for names without tag or digest: write %s", pattern, pattern[:last+end])
	}
}

func checkVariants(out *problems, at string, variants []Variant) {
	names := map[string]bool{}
	for i, v := range variants {
		below := fmt.Sprintf("%s.variants[%d].name", at, i)
		if !namePattern.MatchString(v.Name) {
			out.add(below, "%q is not a name of lower-case letters, digits, '-' and '.' of at most 63", v.Name)
		} else if names[v.Name] {
			out.add(below, "%s stands twice", v.Name)
		}
		names[v.Name] = true
	}
}
