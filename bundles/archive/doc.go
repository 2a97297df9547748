// Package archive is the bundle file: how its bytes are laid out, written and
// read. FORMAT.md, one folder up, is the reference; its terms are used here.
//
// Contents go through Plan, which fixes every position in the file before a
// byte is fetched. Create makes or resumes the file of such a Layout; blobs
// are then written in any order, many at a time. Open reads a head, and a
// Reader, once the signature is checked, gives blobs by offset.
package archive
