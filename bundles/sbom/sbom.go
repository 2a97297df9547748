package sbom

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/progress"
)

// Bundle is what an SBOM is made of; archive.Reader is one.
type Bundle interface {
	content.Fetcher
	// Statement lists roots and blobs.
	Statement() *archive.Statement
	// Document reads a manifest or an index and verifies it.
	Document(ctx context.Context, d digest.Digest) (content.Descriptor, []byte, error)
}

var _ Bundle = (*archive.Reader)(nil)

// Options is how an SBOM is made. The zero value is a good default.
type Options struct {
	// Created is the time that the documents state. The zero value means the
	// beginning of 1970: the same bundle gives the same bytes.
	Created time.Time
	// TempDir is where files of the layers that are looked at are kept
	// meanwhile; "" means the system's folder. Nothing stays there. (When the
	// program is killed, the copy of a database of RPM may.)
	TempDir  string
	Progress progress.Reporter // nil means none
}

// Result is the SBOM of a bundle.
type Result struct {
	SPDX      []byte // SPDX 2.3, JSON
	CycloneDX []byte // CycloneDX 1.6, JSON
	Licenses  []License
	// Warnings name what could not be read as it should be, sorted; the SBOM
	// lacks it. There are none when the bundle brought its own SBOM.
	Warnings []string
	// Embedded tells that the bundle brought its own SBOM.
	Embedded bool
}

// Make makes the SBOM of a bundle. A blob that is damaged or no layer fails it
// with problem.Verification; the content of an image that no cataloger
// understands is a warning.
func Make(ctx context.Context, b Bundle, opts Options) (*Result, error) {
	inv, err := survey(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("making the SBOM: %w", err)
	}
	warnings, err := fill(ctx, b, inv, opts)
	if err != nil {
		return nil, fmt.Errorf("making the SBOM: %w", err)
	}
	doc := spdxDocument(inv, opts.Created)
	out := &Result{Licenses: licensesOf(doc), Warnings: warnings}
	if out.SPDX, err = encode(doc); err != nil {
		return nil, fmt.Errorf("encoding the SBOM as SPDX: %w", err)
	}
	if out.CycloneDX, err = cycloneDX(inv, opts.Created); err != nil {
		return nil, fmt.Errorf("encoding the SBOM as CycloneDX: %w", err)
	}
	return out, nil
}

// encode returns indented JSON that ends with a line feed.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(v)
	return buf.Bytes(), err
}
