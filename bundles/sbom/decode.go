package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/anchore/packageurl-go"
	spdxcommon "github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// decodeSBOM reads the packages of an SBOM in SPDX 2 or CycloneDX, JSON.
func decodeSBOM(data []byte) ([]pack, error) {
	var kind struct {
		SPDXVersion string `json:"spdxVersion"`
		BOMFormat   string `json:"bomFormat"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	switch {
	case strings.HasPrefix(kind.SPDXVersion, "SPDX-2."):
		return decodeSPDX(data)
	case kind.BOMFormat == cdx.BOMFormat:
		return decodeCycloneDX(data)
	default:
		return nil, fmt.Errorf("%w: neither SPDX 2 nor CycloneDX", errForeign)
	}
}

func decodeSPDX(data []byte) ([]pack, error) {
	var doc spdx.Document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	described := map[spdxcommon.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == spdxcommon.TypeRelationshipDescribe {
			described[r.RefB.ElementRefID] = true
		}
	}
	texts := map[string]license{}
	for _, l := range doc.OtherLicenses {
		texts[l.LicenseIdentifier] = license{name: l.LicenseName, text: l.ExtractedText}
	}
	var out []pack
	for _, p := range doc.Packages {
		if described[p.PackageSPDXIdentifier] && len(doc.Packages) > 1 { // the image itself
			continue
		}
		q := pack{name: p.PackageName, version: p.PackageVersion}
		for _, ref := range p.PackageExternalReferences {
			if ref.RefType == spdxcommon.TypePackageManagerPURL {
				q.purl = ref.Locator
			}
		}
		for _, expression := range []string{p.PackageLicenseDeclared, p.PackageLicenseConcluded} {
			if q.licenses = fromExpression(expression, texts); len(q.licenses) > 0 {
				break
			}
		}
		q.kind = kindOf(q.purl)
		out = append(out, q)
	}
	return out, nil
}

func decodeCycloneDX(data []byte) ([]pack, error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	var out []pack
	var add func(*[]cdx.Component)
	add = func(list *[]cdx.Component) {
		if list == nil {
			return
		}
		for _, c := range *list {
			if c.Type != cdx.ComponentTypeFile && c.Type != cdx.ComponentTypeOS && c.Type != cdx.ComponentTypeContainer {
				out = append(out, packOf(c))
			}
			add(c.Components)
		}
	}
	add(bom.Components)
	return out, nil
}

func packOf(c cdx.Component) pack {
	p := pack{name: c.Name, version: c.Version, purl: c.PackageURL, kind: kindOf(c.PackageURL)}
	if c.Group != "" {
		p.name = c.Group + "/" + c.Name
	}
	if c.Licenses == nil {
		return p
	}
	for _, l := range *c.Licenses {
		switch {
		case l.Expression != "":
			p.licenses = append(p.licenses, fromExpression(l.Expression, nil)...)
		case l.License != nil && l.License.ID != "":
			p.licenses = append(p.licenses, fromName(l.License.ID, ""))
		case l.License != nil && l.License.Name != "":
			text := ""
			if l.License.Text != nil && l.License.Text.Encoding == "" {
				text = l.License.Text.Content
			}
			p.licenses = append(p.licenses, fromName(l.License.Name, text))
		}
	}
	return p
}

// kindOf returns the type of a package URL, or nothing.
func kindOf(purl string) string {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return ""
	}
	return u.Type
}
