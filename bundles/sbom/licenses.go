package sbom

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	syftlicense "github.com/anchore/syft/syft/license"
	"github.com/google/licensecheck"
	"github.com/opencontainers/go-digest"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// License is one line of the list of licenses.
type License struct {
	Package  string `json:"package"`
	Version  string `json:"version"`
	License  string `json:"license"` // an SPDX expression, in which names of other licenses may stand; or unknown
	Image    string `json:"image"`   // its reference
	Platform string `json:"platform,omitempty"`
}

// unknown stands where nothing says under which license a package is.
const unknown = "unknown"

// noAssertion is how SPDX says that.
const noAssertion = "NOASSERTION"

// maxName is the longest name of a license, in bytes.
const maxName = 256

// maxText is how much of a license's text, in bytes, goes into an SBOM.
const maxText = 64 << 10

// fromName returns the license that a package database names. The name may be
// an SPDX expression.
func fromName(name, text string) license {
	name = strings.Join(strings.Fields(name), " ")
	if expression, err := syftlicense.ParseExpression(name); err == nil && expression != "" {
		return license{expression: expression}
	}
	return license{name: name, text: strings.ToValidUTF8(text[:min(len(text), maxText)], "")}
}

// fromText returns the licenses that a text holds: those whose words make up
// most of it, else one that is known by its digest.
func fromText(text string) []license {
	const enough = 75 // percent of the text; syft's own threshold
	cover := licensecheck.Scan([]byte(text))
	var out []license
	if cover.Percent >= enough {
		for _, m := range cover.Match {
			out = append(out, fromName(m.ID, ""))
		}
	}
	if len(out) == 0 {
		out = append(out, license{name: "text " + digest.FromString(text).Encoded()[:idLength], text: strings.ToValidUTF8(text[:min(len(text), maxText)], "")})
	}
	return out
}

// licenseRef returns the pattern of a name that a document gives to a license.
func licenseRef() *regexp.Regexp {
	return regexp.MustCompile(`(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+`)
}

// fromExpression returns the licenses of an SPDX expression; texts are those
// that its document defines.
func fromExpression(expression string, texts map[string]license) []license {
	switch strings.TrimSpace(expression) {
	case "", "NONE", noAssertion:
		return nil
	}
	if !licenseRef().MatchString(expression) {
		return []license{fromName(expression, "")}
	}
	// A name of another document means nothing here: it is given anew.
	parts := strings.Split(expression, " AND ")
	if strings.Contains(expression, "(") {
		parts = []string{expression}
	}
	var out []license
	for _, part := range parts {
		text := ""
		part = licenseRef().ReplaceAllStringFunc(part, func(ref string) string {
			text += texts[ref].text
			return cmp.Or(texts[ref].name, strings.TrimPrefix(ref, "LicenseRef-"))
		})
		out = append(out, fromName(part, text))
	}
	return out
}

// tidy sorts licenses, each once, and makes their names printable.
func tidy(list []license) []license {
	for i := range list {
		l := &list[i]
		l.name = printable(l.name)
		if l.name = strings.ToValidUTF8(l.name[:min(len(l.name), maxName)], ""); licenseRef().MatchString(l.expression) { // nothing here defines it
			*l = license{name: strings.ReplaceAll(l.expression, "LicenseRef-", "")}
		}
	}
	list = slices.DeleteFunc(list, func(l license) bool { return l.expression == "" && l.name == "" })
	slices.SortFunc(list, func(a, b license) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.expression, b.expression), cmp.Compare(a.text, b.text)) // those of SPDX first
	})
	return slices.CompactFunc(list, func(a, b license) bool { return a.expression == b.expression && a.name == b.name })
}

// ref returns the name of a license that SPDX does not know.
func (l license) ref() string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, l.name)
	return "LicenseRef-" + clean[:min(len(clean), 60)] + "-" + digest.FromString(l.name + "\n" + l.text).Encoded()[:8]
}

// expressionOf joins licenses to one SPDX expression.
func expressionOf(list []license) string {
	if len(list) == 0 {
		return noAssertion
	}
	var parts []string
	for _, l := range list {
		part := cmp.Or(l.expression, l.ref())
		if len(list) > 1 && strings.Contains(part, " OR ") {
			part = "(" + part + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " AND ")
}

// licensesOf reads the list of licenses out of an SBOM made here.
func licensesOf(doc *spdx.Document) []License {
	names := map[string]string{}
	for _, l := range doc.OtherLicenses {
		names[l.LicenseIdentifier] = l.LicenseName
	}
	pattern := licenseRef()
	byID := map[string]*spdx.Package{}
	for _, p := range doc.Packages {
		byID[string(p.PackageSPDXIdentifier)] = p
	}
	out := []License{}
	for _, r := range doc.Relationships {
		image, p := byID[string(r.RefA.ElementRefID)], byID[string(r.RefB.ElementRefID)]
		if r.Relationship != relationContains || image == nil || p == nil || !strings.HasPrefix(string(p.PackageSPDXIdentifier), "Package-") {
			continue
		}
		text := p.PackageLicenseDeclared
		if text == noAssertion {
			text = unknown
		}
		text = pattern.ReplaceAllStringFunc(text, func(ref string) string { return cmp.Or(names[ref], ref) })
		out = append(out, License{Package: p.PackageName, Version: p.PackageVersion, License: text, Image: image.PackageName, Platform: image.PackageSummary})
	}
	slices.SortFunc(out, func(a, b License) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version), cmp.Compare(a.License, b.License),
			cmp.Compare(a.Image, b.Image), cmp.Compare(a.Platform, b.Platform))
	})
	return slices.Compact(out)
}

// WriteLicenses writes the list of licenses as a table.
func WriteLicenses(w io.Writer, list []License) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PACKAGE\tVERSION\tLICENSE\tIMAGE\tPLATFORM")
	for _, l := range list {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", l.Package, cmp.Or(l.Version, "-"), l.License, l.Image, cmp.Or(l.Platform, "-"))
	}
	return tw.Flush()
}

// Text returns the list of licenses as a table.
func (r *Result) Text() []byte {
	var buf bytes.Buffer
	_ = WriteLicenses(&buf, r.Licenses) // a buffer takes everything
	return buf.Bytes()
}
