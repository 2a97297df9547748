package packs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// span is a range of versions. A nil end is open.
type span struct {
	lo, hi         *semver.Version
	under          bool // hi itself does not belong to it
	loText, hiText string
}

// newSpan returns the range of a dependency.
func newSpan(minVersion, maxVersion string) (span, error) {
	s := span{loText: minVersion, hiText: maxVersion}
	var err error
	if minVersion != "" {
		if s.lo, err = semver.NewVersion(minVersion); err != nil {
			return s, fmt.Errorf("minVersion %q is no version", minVersion)
		}
	}
	if maxVersion == "" {
		return s, nil
	}
	if s.hi, err = semver.NewVersion(maxVersion); err != nil {
		return s, fmt.Errorf("maxVersion %q is no version", maxVersion)
	}
	// 1.31 means every 1.31.x: nobody who writes it wants to stop at 1.31.0.
	numbers := strings.Count(maxVersion, ".") + 1
	if s.hi.Prerelease() == "" && s.hi.Metadata() == "" && numbers < 3 {
		next := s.hi.IncMinor()
		if numbers == 1 {
			next = s.hi.IncMajor()
		}
		s.hi = semver.New(next.Major(), next.Minor(), 0, "0", "") // before its first pre-release
		s.under, s.hiText = true, maxVersion+".x"
	}
	return s, nil
}

// contains tells whether v lies in the range.
func (s span) contains(v *semver.Version) bool {
	if s.lo != nil && v.LessThan(s.lo) {
		return false
	}
	return s.hi == nil || v.LessThan(s.hi) || !s.under && v.Equal(s.hi)
}

// empty tells whether no version lies in the range.
func (s span) empty() bool { return s.lo != nil && s.hi != nil && !s.contains(s.lo) }

// and returns what lies in both ranges.
func (s span) and(t span) span {
	if compareLow(t.lo, s.lo) > 0 {
		s.lo, s.loText = t.lo, t.loText
	}
	if t.hi != nil && (s.hi == nil || t.hi.LessThan(s.hi) || t.hi.Equal(s.hi) && t.under) {
		s.hi, s.hiText, s.under = t.hi, t.hiText, t.under
	}
	return s
}

// compareLow compares lower ends.
func compareLow(a, b *semver.Version) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	default:
		return a.Compare(b)
	}
}

// String says it for people: "1.29 or newer".
func (s span) String() string {
	switch {
	case s.lo == nil && s.hi == nil:
		return "any version"
	case s.lo == nil:
		return s.hiText + " or older"
	case s.hi == nil:
		return s.loText + " or newer"
	case s.loText == s.hiText:
		return s.loText
	default:
		return s.loText + " to " + s.hiText
	}
}

// fits says which versions lie in s and in none of the others.
func fits(s span, others []span) string {
	slices.SortFunc(others, func(a, b span) int { return cmp.Or(compareLow(a.lo, b.lo), strings.Compare(a.hiText, b.hiText)) })
	var except []string
	for _, o := range others {
		if !s.and(o).empty() && !slices.Contains(except, o.String()) {
			except = append(except, o.String())
		}
	}
	switch {
	case s.empty() || covered(s, others):
		return "no version fits all of them"
	case len(except) > 0:
		return fmt.Sprintf("what would fit: %s, but not %s", s, strings.Join(except, " nor "))
	default:
		return fmt.Sprintf("what would fit: %s", s)
	}
}

// covered tells whether the others, sorted, leave nothing of s.
func covered(s span, others []span) bool {
	reached := s.lo
	for _, o := range others {
		if compareLow(o.lo, reached) > 0 {
			return false
		}
		if o.hi == nil {
			return true
		}
		if compareLow(o.hi, reached) > 0 {
			reached = o.hi
		}
		if s.hi != nil && reached != nil && !reached.LessThan(s.hi) {
			return true
		}
	}
	return false
}
