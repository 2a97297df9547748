package packs

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// format is a parsed format: texts with kinds between them.
type format struct {
	kinds []kind
	whole *regexp.Regexp // one group a kind; nil when the format is one kind alone
}

// kind is one ${NAME}, ${NAME:/REGEXP/}, ${NAME:[FROM-TO]} or ${NAME:[A,B]}.
type kind struct {
	name     string
	pattern  *regexp.Regexp
	from, to float64 // of a number, when limited
	limited  bool
	options  []string // of a list
}

// kindNames returns the names that may stand in a format.
func kindNames() []string {
	return []string{"string", "number", "boolean", "password", "list", "ipv4", "version"}
}

func (r Rule) unknownFormats() []string {
	var out []string
	if r.format != nil {
		for _, k := range r.format.kinds {
			if !slices.Contains(kindNames(), k.name) {
				out = append(out, k.name)
			}
		}
	}
	return out
}

var kindPattern = regexp.MustCompile(`^\$\{\s*(\w+)\s*(?::(/.*?/|\[.*?\]))?\s*\}`)

func parseFormat(text string) (*format, error) {
	f := &format{}
	var pattern strings.Builder
	literal := false
	for rest := text; rest != ""; {
		before, _, ok := strings.Cut(rest, "${")
		pattern.WriteString(regexp.QuoteMeta(before))
		literal = literal || before != ""
		if rest = rest[len(before):]; !ok {
			break
		}
		found := kindPattern.FindStringSubmatch(rest)
		if found == nil {
			return nil, fmt.Errorf("%.100q is no format such as ${string}, ${number:[1-9]}, ${string:/^[a-z]+$/} or ${list:[a,b]}", rest)
		}
		k, err := newKind(found[1], found[2])
		if err != nil {
			return nil, err
		}
		f.kinds = append(f.kinds, k)
		pattern.WriteString("(.*?)")
		rest = rest[len(found[0]):]
	}
	if literal || len(f.kinds) != 1 {
		var err error
		if f.whole, err = regexp.Compile("(?s)^" + pattern.String() + "$"); err != nil {
			return nil, err
		}
	}
	return f, nil
}

var rangePattern = regexp.MustCompile(`^\s*(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)\s*$`)

func newKind(name, limit string) (kind, error) {
	k := kind{name: name}
	switch {
	case limit == "":
	case limit[0] == '/':
		var err error
		if k.pattern, err = regexp.Compile(limit[1 : len(limit)-1]); err != nil {
			return k, fmt.Errorf("the regular expression of ${%s} cannot be read: %w", name, err)
		}
	case name == "number":
		found := rangePattern.FindStringSubmatch(limit[1 : len(limit)-1])
		if found == nil {
			return k, fmt.Errorf("%s is no range of numbers such as [1-9]", limit)
		}
		k.limited = true
		k.from, _ = strconv.ParseFloat(found[1], 64) // the pattern lets only numbers through
		k.to, _ = strconv.ParseFloat(found[2], 64)
	default:
		for _, option := range strings.Split(limit[1:len(limit)-1], ",") {
			k.options = append(k.options, strings.Trim(strings.TrimSpace(option), `"'`))
		}
	}
	return k, nil
}

// check returns why a text is not of the kind, or nothing. The text itself is
// never part of the answer: it may be a password.
func (k kind) check(text string) string {
	if !slices.Contains(kindNames(), k.name) {
		return ""
	}
	switch k.name {
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "is not a number"
		}
		if k.limited && (n < k.from || n > k.to) {
			return fmt.Sprintf("is not within %v to %v", k.from, k.to)
		}
	case "boolean":
		if text != "true" && text != "false" {
			return "is neither true nor false"
		}
	case "ipv4":
		if a, err := netip.ParseAddr(text); err != nil || !a.Is4() {
			return "is not an IPv4 address"
		}
	case "version":
		if _, err := semver.NewVersion(text); err != nil {
			return "is not a version"
		}
	}
	if k.pattern != nil && !k.pattern.MatchString(text) {
		return fmt.Sprintf("does not match %s", k.pattern)
	}
	if len(k.options) > 0 && !slices.Contains(k.options, text) {
		return "is none of " + strings.Join(k.options, ", ")
	}
	return ""
}

// check returns why a text does not have the format, or nothing.
func (f *format) check(text string) string {
	if f.whole == nil {
		return f.kinds[0].check(text)
	}
	groups := f.whole.FindStringSubmatch(text)
	if groups == nil {
		return "does not have the form"
	}
	for i, k := range f.kinds {
		if reason := k.check(groups[i+1]); reason != "" {
			return fmt.Sprintf("part %d %s", i+1, reason)
		}
	}
	return ""
}
