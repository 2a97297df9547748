package sbom

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sealift/sealift/bundles/archive"
)

const (
	relationDescribes = common.TypeRelationshipDescribe
	relationContains  = common.TypeRelationshipContains
)

// namespace begins the name of every document; what follows is the identity of
// the bundle.
const namespace = "https://sealift.dev/sbom/"

// bundleID is the bundle's own name within its document.
const bundleID = "Bundle"

// spdxDocument writes an inventory as SPDX 2.3.
func spdxDocument(inv *inventory, created time.Time) *spdx.Document {
	doc := &spdx.Document{SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      inv.name + " " + inv.version,
		DocumentNamespace: namespace + inv.identity.Algorithm().String() + "-" + inv.identity.Encoded(),
		CreationInfo:      &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool", Creator: "sealift"}}, Created: stamp(created)}}
	bundle := newPackage(bundleID, inv.name, inv.version)
	bundle.PrimaryPackagePurpose = "ARCHIVE"
	doc.Packages = append(doc.Packages, bundle)
	relate(doc, "DOCUMENT", relationDescribes, bundleID)
	for _, c := range inv.roots {
		addComponent(doc, bundleID, c)
	}
	refs := map[string]license{}
	for _, p := range inv.packages() {
		q := newPackage(p.id(), p.name, p.version)
		q.PackageLicenseDeclared = expressionOf(p.licenses)
		if p.purl != "" {
			q.PackageExternalReferences = purlReference(p.purl)
		}
		doc.Packages = append(doc.Packages, q)
		for _, l := range p.licenses {
			if l.expression == "" {
				refs[l.ref()] = l
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(refs)) {
		doc.OtherLicenses = append(doc.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: id, LicenseName: refs[id].name,
			ExtractedText: cmp.Or(refs[id].text, refs[id].name)})
	}
	return doc
}

// addComponent adds a component with its relationships to what is below it.
func addComponent(doc *spdx.Document, parent string, c *component) {
	p := newPackage(c.id(), c.reference, c.desc.Digest.String())
	p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: c.desc.Digest.Encoded()}}
	p.PackageExternalReferences = purlReference(c.purl())
	p.PackageSummary = c.platform
	p.PackageSourceInfo = sourceInfo(c)
	p.PrimaryPackagePurpose = purpose(c)
	doc.Packages = append(doc.Packages, p)
	relate(doc, parent, relationContains, c.id())
	for _, child := range c.children {
		addComponent(doc, c.id(), child)
	}
	for _, q := range c.packages {
		relate(doc, c.id(), relationContains, q.id())
	}
}

// sourceInfo tells where the packages of a component are known from.
func sourceInfo(c *component) string {
	if c.source == "" {
		return ""
	}
	return "packages: " + c.source
}

func purpose(c *component) string {
	switch {
	case c.image || len(c.children) > 0:
		return "CONTAINER"
	case c.kind == archive.RootFile:
		return "FILE"
	default:
		return "OTHER"
	}
}

func newPackage(id, name, version string) *spdx.Package {
	return &spdx.Package{PackageSPDXIdentifier: common.ElementID(id), PackageName: name, PackageVersion: version,
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageCopyrightText: noAssertion}
}

func purlReference(purl string) []*spdx.PackageExternalReference {
	return []*spdx.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}
}

func relate(doc *spdx.Document, a, relation, b string) {
	doc.Relationships = append(doc.Relationships, &spdx.Relationship{RefA: common.MakeDocElementID("", a),
		RefB: common.MakeDocElementID("", b), Relationship: relation})
}

// stamp writes a time as both formats want it.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}

// serial turns the identity of a bundle into a UUID of version 8 (RFC 9562).
func serial(identity digest.Digest) string {
	h := []byte(identity.Encoded())
	h[12], h[16] = '8', '8'
	return "urn:uuid:" + string(h[:8]) + "-" + string(h[8:12]) + "-" + string(h[12:16]) + "-" + string(h[16:20]) + "-" + string(h[20:32])
}
