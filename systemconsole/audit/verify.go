package audit

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/store"
)

// ErrBroken means: the chain is not what was written.
var ErrBroken = errors.New("the audit record was tampered with")

// Summary is what Verify found in an unbroken chain.
type Summary struct {
	Records uint64 `json:"records"`
	Head    string `json:"head"` // hash of the newest record
}

// Verify reads the whole chain and fails with ErrBroken at the first link that
// does not hold. Known is a hash that was noted before, or nothing: it must
// still be in the chain.
func (l *Log) Verify(ctx context.Context, known string) (Summary, error) {
	var s Summary
	found := known == ""
	for item, err := range l.records.All(ctx, "") {
		if err != nil {
			return s, fmt.Errorf("verifying the audit record: %w", err)
		}
		r, err := link(item, s)
		if err != nil {
			return s, problem.As(problem.Verification, err)
		}
		s = Summary{Records: r.Number, Head: r.Hash}
		found = found || subtle.ConstantTimeCompare([]byte(r.Hash), []byte(known)) == 1
	}
	if !found {
		return s, problem.New(problem.Verification, "compare with a backup, or with the log of the server", "%w: no record has the hash %.80s", ErrBroken, known)
	}
	return s, nil
}

// link checks one record against what stands before it.
func link(item store.Item[stored], before Summary) (Record, error) {
	r, err := parse(item)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	switch want := before.Records + 1; {
	case r.Number != want || item.Name != name(want):
		return r, fmt.Errorf("%w: record %d is missing", ErrBroken, want)
	case r.Previous != before.Head:
		return r, fmt.Errorf("%w: record %d does not follow record %d", ErrBroken, want, before.Records)
	case r.Hash != r.sum() || item.Value.Record != r.text():
		return r, fmt.Errorf("%w: record %d was altered", ErrBroken, want)
	}
	return r, nil
}
