// Package template makes node templates in vSphere of the OVAs that a bundle
// carries.
//
// An OVA is a tar archive of a descriptor (OVF), disks and a manifest of their
// checksums. It is read in place, at its offset in the bundle: nothing is
// unpacked. A template carries the digest of its OVA in its annotation, so that
// a later run knows it again, and has its name only when it is complete.
package template

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/vapi/library"

	"github.com/sealift/sealift/internal/problem"
)

// ErrInvalid means: the file is no OVA, or not a whole one.
var ErrInvalid = errors.New("not a whole OVA")

// Limits of an OVA.
const (
	maxEntries    = 64
	maxDescriptor = 4 << 20 // bytes of the descriptor, and of the manifest
)

// OVA is an appliance that is read in place.
type OVA struct {
	source   io.ReaderAt
	order    []string // names of the entries
	sections map[string]section
	sums     map[string]*library.Checksum // by name; what the manifest says
	networks []string
}

type section struct{ offset, size int64 }

// Read reads descriptor and manifest of an OVA of so many bytes and checks the
// descriptor's sum; disks are checked while they are sent. Its error is
// ErrInvalid for what is no OVA.
func Read(source io.ReaderAt, size int64) (*OVA, error) {
	o := &OVA{source: source, sections: map[string]section{}}
	if err := o.index(size); err != nil {
		return nil, err
	}
	if err := o.readManifest(); err != nil {
		return nil, err
	}
	return o, o.readDescriptor()
}

// index notes where the entries lie.
func (o *OVA) index(size int64) error {
	at := io.NewSectionReader(o.source, 0, size)
	entries := tar.NewReader(at)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) && len(o.order) > 0 {
			return nil
		}
		if err != nil {
			return invalid("its entries cannot be read: %w", err)
		}
		offset, err := at.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		_, twice := o.sections[h.Name]
		switch {
		case h.Typeflag != tar.TypeReg || h.Name != path.Base(h.Name):
			return invalid("entry %q is no plain file", h.Name)
		case twice || len(o.order) == maxEntries:
			return invalid("entry %q stands in it twice, or there are more than %d", h.Name, maxEntries)
		case offset+h.Size > size:
			return invalid("it ends within %q", h.Name)
		}
		o.order = append(o.order, h.Name)
		o.sections[h.Name] = section{offset, h.Size}
	}
}

// readManifest reads the checksums of all other entries. An OVA without them
// is refused: nothing would tell a damaged disk.
func (o *OVA) readManifest() error {
	name, err := o.one(".mf")
	if err != nil {
		return err
	}
	data, err := o.small(name)
	if err != nil {
		return err
	}
	if o.sums, err = library.ReadManifest(bytes.NewReader(data)); err != nil {
		return invalid("its manifest %s: %w", name, err)
	}
	for _, entry := range o.order {
		if sum := o.sums[entry]; entry != name && !strings.HasSuffix(entry, ".cert") && (sum == nil || !strings.EqualFold(sum.Algorithm, "SHA256")) {
			return invalid("its manifest has no SHA-256 sum of %s", entry)
		}
	}
	return nil
}

func (o *OVA) readDescriptor() error {
	name, err := o.one(".ovf")
	if err != nil {
		return err
	}
	data, err := o.small(name)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(data); !o.matches(name, got[:]) {
		return invalid("its descriptor %s has not the sum that the manifest has", name)
	}
	envelope, err := ovf.Unmarshal(bytes.NewReader(data))
	if err != nil || envelope.VirtualSystem == nil {
		return invalid("its descriptor %s describes no machine: %v", name, err)
	}
	for _, f := range envelope.References {
		if _, ok := o.sections[f.Href]; !ok {
			return invalid("its descriptor names %q, which is not in it", f.Href)
		}
	}
	if envelope.Network != nil {
		for _, n := range envelope.Network.Networks {
			o.networks = append(o.networks, n.Name)
		}
	}
	return nil
}

// one returns the name of the only entry with an ending.
func (o *OVA) one(ending string) (string, error) {
	var found []string
	for _, name := range o.order {
		if strings.HasSuffix(name, ending) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", invalid("it has %d entries *%s and not one", len(found), ending)
	}
	return found[0], nil
}

func (o *OVA) small(name string) ([]byte, error) {
	s := o.sections[name]
	if s.size > maxDescriptor {
		return nil, invalid("%s has %d bytes, more than %d", name, s.size, maxDescriptor)
	}
	data := make([]byte, s.size)
	_, err := o.source.ReadAt(data, s.offset)
	if errors.Is(err, io.EOF) {
		err = nil // the entry ends with the file
	}
	return data, err
}

// matches tells whether an entry has the sum of the manifest.
func (o *OVA) matches(name string, sha256sum []byte) bool {
	return o.sums[name] != nil && strings.EqualFold(o.sums[name].Checksum, hex.EncodeToString(sha256sum))
}

// Open implements govmomi's importer.Archive: it opens the first entry whose
// name fits a pattern.
func (o *OVA) Open(pattern string) (io.ReadCloser, int64, error) {
	for _, name := range o.order {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, 0, err
		} else if ok {
			s := o.sections[name]
			return io.NopCloser(io.NewSectionReader(o.source, s.offset, s.size)), s.size, nil
		}
	}
	return nil, 0, fmt.Errorf("%s: %w", pattern, os.ErrNotExist)
}

func invalid(format string, args ...any) error {
	return problem.New(problem.Verification, "build the OVA again, with SHA-256 sums in its manifest, and bundle that", "%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}
