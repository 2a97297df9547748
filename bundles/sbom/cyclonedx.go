package sbom

import (
	"bytes"
	"cmp"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// cycloneDX writes an inventory as CycloneDX 1.6. The components stand side by
// side; the dependencies say which holds which.
func cycloneDX(inv *inventory, created time.Time) ([]byte, error) {
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(inv.identity)
	bom.Metadata = &cdx.Metadata{Timestamp: stamp(created),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "sealift"}}},
		Component: &cdx.Component{BOMRef: bundleID, Type: cdx.ComponentTypeData, Name: inv.name, Version: inv.version}}
	components, dependencies := []cdx.Component{}, []cdx.Dependency{holds(bundleID, inv.roots, nil)}
	for _, c := range inv.all() {
		components = append(components, cdxComponent(c))
		dependencies = append(dependencies, holds(c.id(), c.children, c.packages))
	}
	for _, p := range inv.packages() {
		components = append(components, cdx.Component{BOMRef: p.id(), Type: cdx.ComponentTypeLibrary, Name: p.name, Version: p.version,
			PackageURL: p.purl, Licenses: cdxLicenses(p.licenses)})
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var buf bytes.Buffer
	enc := cdx.NewBOMEncoder(&buf, cdx.BOMFileFormatJSON)
	err := enc.SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return buf.Bytes(), err
}

func cdxComponent(c *component) cdx.Component {
	out := cdx.Component{BOMRef: c.id(), Type: cdxType(c), Name: c.reference, Version: c.desc.Digest.String(), PackageURL: c.purl(),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: c.desc.Digest.Encoded()}}}
	properties := []cdx.Property{{Name: "sealift:kind", Value: c.kind}}
	if c.platform != "" {
		properties = append(properties, cdx.Property{Name: "sealift:platform", Value: c.platform})
	}
	if c.source != "" {
		properties = append(properties, cdx.Property{Name: "sealift:packages", Value: c.source})
	}
	out.Properties = &properties
	return out
}

func cdxType(c *component) cdx.ComponentType {
	switch purpose(c) {
	case "CONTAINER":
		return cdx.ComponentTypeContainer
	case "FILE":
		return cdx.ComponentTypeFile
	default:
		return cdx.ComponentTypeData
	}
}

// holds says what is directly below a component.
func holds(id string, children []*component, packs []pack) cdx.Dependency {
	below := []string{}
	for _, c := range children {
		below = append(below, c.id())
	}
	for _, p := range packs {
		below = append(below, p.id())
	}
	return cdx.Dependency{Ref: id, Dependencies: &below}
}

// cdxLicenses writes licenses as one expression where SPDX knows them all,
// else by their names: the format allows no mixture.
func cdxLicenses(list []license) *cdx.Licenses {
	if len(list) == 0 {
		return nil
	}
	out := cdx.Licenses{}
	for _, l := range list {
		if l.expression == "" {
			for _, l := range list {
				out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: cmp.Or(l.expression, l.name)}})
			}
			return &out
		}
	}
	return &cdx.Licenses{{Expression: expressionOf(list)}}
}
