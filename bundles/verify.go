package bundles

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// ErrOutdated means: the bundle is older than the lowest version that is accepted.
var ErrOutdated = errors.New("the bundle is too old")

// OpenOptions is what a bundle must fulfill to be opened.
type OpenOptions struct {
	// Verifier checks the signature. Without one, Unsigned must be set.
	Verifier archive.Verifier
	// Unsigned opens the bundle whoever made it; for looking at it only.
	Unsigned bool
	// MinVersion is the lowest version that is accepted; "" means any.
	MinVersion string
	// Location is how what is remote or encrypted is reached.
	Location location.Options
}

// Open opens a bundle, a file or another location: its signature is checked before anything of
// it is believed. Only the head is read.
func Open(ctx context.Context, path string, opts OpenOptions) (*archive.Reader, error) {
	name := location.Redact(path)
	if opts.Verifier == nil && !opts.Unsigned {
		return nil, fmt.Errorf("opening bundle %s: no key to verify it with", name)
	}
	head, err := archive.Open(ctx, path, opts.Location)
	if err != nil {
		return nil, problem.WithRemedy(err, notABundle(err))
	}
	var r *archive.Reader
	if opts.Verifier != nil {
		r, err = head.Authenticate(opts.Verifier)
	} else {
		r, err = head.Unverified()
	}
	if err == nil {
		err = checkVersion(r.Statement(), opts.MinVersion)
	}
	if err != nil {
		return nil, errors.Join(problem.WithRemedy(fmt.Errorf("opening bundle %s: %w", name, err), notABundle(err)), head.Close())
	}
	return r, nil
}

// notABundle returns the remedy for a file whose bytes are wrong.
func notABundle(err error) string {
	switch {
	case len(problem.Remedies(err)) > 0: // who knows more has said it
		return ""
	case errors.Is(err, archive.ErrTruncated):
		return "the copy is incomplete: copy the file again and compare its size with the original"
	case errors.Is(err, archive.ErrFormat), errors.Is(err, content.ErrMismatch):
		return "this is not what sealift wrote: copy the file again from where it was made"
	default:
		return ""
	}
}

func checkVersion(s *archive.Statement, lowest string) error {
	if lowest == "" {
		return nil
	}
	older, err := Older(s.Version, lowest)
	if _, bad := semver.NewVersion(s.Version); bad != nil {
		return problem.New(problem.Verification, "ask for a bundle with a version such as 1.4.0, or leave out --min-version",
			"%s has the version %q, which is neither older nor newer than %s", s.Name, s.Version, lowest)
	}
	if err != nil {
		return err
	}
	if older {
		return problem.New(problem.Verification, "ask for the current bundle, or lower --min-version if you want to go back on purpose",
			"%s %s, the lowest version accepted is %s: %w", s.Name, s.Version, lowest, ErrOutdated)
	}
	return nil
}

// Older tells whether version a comes before b by the rules of semantic
// versioning. It fails with problem.Usage when one of them has no such form.
func Older(a, b string) (bool, error) {
	va, err := semver.NewVersion(a)
	if err != nil {
		return false, problem.New(problem.Usage, "use versions like 1.4.0", "comparing versions: %q: %w", a, err)
	}
	vb, err := semver.NewVersion(b)
	if err != nil {
		return false, problem.New(problem.Usage, "use versions like 1.4.0", "comparing versions: %q: %w", b, err)
	}
	return va.LessThan(vb), nil
}

// Verification is the result of verifying a bundle.
type Verification struct {
	File      string  `json:"file"`
	Name      string  `json:"name"`
	Version   string  `json:"version"`
	Statement string  `json:"statement"` // digest of the statement
	Valid     bool    `json:"valid"`
	Contents  []Count `json:"contents"`
	Blobs     int     `json:"blobs"`
	Bytes     int64   `json:"bytes"` // of the file
	// FromBase is what a delta leaves to its bases: whole it is only with them.
	FromBase BaseContent `json:"fromBase,omitzero"`
	// Bases are those that were looked at: together they have all of FromBase.
	Bases  []string `json:"bases,omitempty"`
	Faults []string `json:"faults"` // empty when valid
}

// ErrInvalid means: the bundle was looked at whole and has faults.
var ErrInvalid = errors.New("the bundle is damaged")

// ErrBases means: the bundles that are given beside a delta are not what it
// leaves out.
var ErrBases = errors.New("its bases do not have all that it leaves out")

// VerifyOptions is how a bundle is verified. The zero value is a good default.
type VerifyOptions struct {
	archive.VerifyOptions
	// Bases are older bundles, of which signature and head are checked, that
	// have what a delta leaves out.
	Bases []string
}

// Verify checks a bundle whole: signature, every byte, closure. When it finds
// faults, the result lists them all and the error is ErrInvalid; when the head
// is already wrong there is no result.
func Verify(ctx context.Context, path string, open OpenOptions, opts VerifyOptions) (*Verification, error) {
	r, err := Open(ctx, path, open)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	var found finding
	missing, err := lacking(ctx, r, opts.Bases, open) // heads alone: who named a wrong file need not wait
	if err == nil {
		found, err = examine(ctx, r, missing, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", location.Redact(path), err)
	}
	s := r.Statement()
	v := &Verification{File: location.Redact(path), Name: s.Name, Version: s.Version, Statement: r.StatementDigest().String(), Valid: len(found.faults) == 0,
		Contents: count(s.Roots), Blobs: len(s.Blobs), Bytes: r.Size(),
		FromBase: BaseContent{Blobs: len(s.FromBase), Bytes: sizeOf(s.FromBase)}, Faults: []string{}}
	for _, b := range opts.Bases {
		v.Bases = append(v.Bases, location.Redact(b))
	}
	for _, f := range found.faults {
		v.Faults = append(v.Faults, f.Error())
	}
	if !v.Valid {
		err = problem.New(problem.Verification, found.remedy, "verifying %s: %w; faults found: %d", v.File, found.is, len(found.faults))
	}
	return v, err
}

// finding is what is wrong with a bundle.
type finding struct {
	faults []error
	is     error
	remedy string
}

// examine looks at a bundle until something is wrong. missing is what its bases lack.
func examine(ctx context.Context, r *archive.Reader, missing []error, opts VerifyOptions) (finding, error) {
	faults, err := r.Verify(ctx, opts.VerifyOptions)
	if err != nil || len(faults) > 0 {
		return finding{faults, ErrInvalid, "do not use this file: copy it again from where it was made"}, err
	}
	faults, err = closure.Prove(ctx, r)
	if err != nil || len(faults) > 0 {
		return finding{faults, closure.ErrMissing, "make the bundle again with what is missing, or with the reason under allowMissing: why it is never used"}, err
	}
	return finding{missing, ErrBases, "give all bases that bundle inspect names, or make the delta again"}, nil
}

// lacking returns what a delta leaves out and none of its bases has.
func lacking(ctx context.Context, delta *archive.Reader, bases []string, open OpenOptions) (faults []error, err error) {
	if len(bases) == 0 {
		return nil, nil
	}
	open.MinVersion = "" // they are older
	left := map[digest.Digest]int64{}
	for _, d := range delta.Statement().FromBase {
		left[d.Digest] = d.Size
	}
	has := map[digest.Digest]bool{}
	for _, path := range bases {
		if err := addBase(ctx, path, open, delta.Statement().Bases, left, has); err != nil {
			return nil, err
		}
	}
	for _, d := range delta.Statement().FromBase {
		if !has[d.Digest] {
			faults = append(faults, fmt.Errorf("blob %s (%d bytes) is in no base that is given", d.Digest, d.Size))
		}
	}
	return faults, nil
}

// addBase notes what a base has of what is left to it. A bundle that is no base
// is refused: nothing of it but the head would be looked at, and it would pass
// for verified.
func addBase(ctx context.Context, path string, open OpenOptions, named []archive.Base, left map[digest.Digest]int64, has map[digest.Digest]bool) error {
	r, err := Open(ctx, path, open)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	is := slices.ContainsFunc(named, func(b archive.Base) bool { return b.Statement == r.StatementDigest() })
	for _, b := range r.Statement().Blobs {
		if size, ok := left[b.Digest]; ok && size == b.Size {
			has[b.Digest], is = true, true
		}
	}
	if !is {
		return problem.New(problem.Usage, "verify one bundle at a time; only the bases of a delta are named beside it", "%s is no base of it", location.Redact(path))
	}
	return nil
}
