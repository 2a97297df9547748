// Package bundles is what crosses the gap: it makes a bundle out of a
// definition, verifies one, and says what is in it.
//
// The file itself is package archive's; names are resolved by package resolve
// and signatures made and checked by package sign. Registries are handed in,
// so that nothing here knows how they are reached.
package bundles
