// Package mirror moves content between bundles and registries.
//
// A Mapping says where each reference of a bundle goes, Push fills a registry
// from bundles. The remote side (requests, credentials, retries) is package
// registry; package serve is the other way to offer a bundle, as a registry.
package mirror
