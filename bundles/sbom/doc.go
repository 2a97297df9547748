// Package sbom says what software a bundle holds and under which licenses: one
// software bill of materials (SBOM) of the whole bundle, as SPDX 2.3 and as
// CycloneDX 1.6, and a list of licenses.
//
// A component is a root of the bundle, or one platform's manifest of a root
// that is an index. The packages of an image come from one of two sources. An
// SBOM that travels with the image and names it as its subject is believed:
// these packages are declared. Otherwise the layers are read straight from the
// bundle and syft's catalogers look at the package databases and programs in
// them: these packages are scanned. Neither asks a network.
//
// The same bundle gives the same bytes: nothing says when, where or by which
// version of the program an SBOM was made, and the identity of the documents
// follows from the roots of the bundle. An SBOM within the bundle is no part of
// that identity, so making it again gives what the bundle holds.
package sbom
