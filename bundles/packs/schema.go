package packs

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"
)

// Rule is one line of schema.yaml: what a value must be.
type Rule struct {
	Path     string // dotted; "$[]" is every item of a list
	Required bool   // the value must be given
	ReadOnly bool   // the value must stay what the pack says
	// Format is a text with formats in it: "${ipv4} - ${ipv4}"; "" is anything.
	Format string
	Hints  []string // for whoever fills it in

	format *format
}

// readSchema reads schema.yaml.
func (p *Pack) readSchema(data []byte) {
	// The rules are written in double braces, as macros are: here they are no macros.
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		p.found(SeverityError, schemaFile, "%v", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return
	}
	top, err := (&expander{left: maxExpanded}).expand(doc.Content[0], false)
	if err != nil || top.Kind != yaml.MappingNode {
		p.found(SeverityError, schemaFile, "%v", errors.Join(err, fmt.Errorf("is %s, not a mapping", kindOf(doc.Content[0]))))
		return
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		p.readRule(top.Content[i].Value, top.Content[i+1])
	}
}

func (p *Pack) readRule(path string, n *yaml.Node) {
	where := schemaFile + ": " + path
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i].Value; key != "schema" {
				p.found(SeverityWarning, where+"."+key, "is not a field of the format; it is kept as it is")
			}
		}
		n = get(n, "schema")
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		p.found(SeverityError, where, `has no text such as schema: '{{ required | format "${string}" }}'`)
		return
	}
	rule, err := parseRule(n.Value)
	if err != nil {
		p.found(SeverityError, where, "%v", err)
		return
	}
	for _, name := range rule.unknownFormats() {
		p.found(SeverityWarning, where, "format %q is not known: it is not checked", name)
	}
	rule.Path = path
	p.Schema = append(p.Schema, rule)
}

// parseRule reads {{ required | format "..." | hints "..." "..." }}.
func parseRule(text string) (Rule, error) {
	inner, open := strings.CutPrefix(strings.TrimSpace(text), "{{")
	inner, closed := strings.CutSuffix(inner, "}}")
	if !open || !closed {
		return Rule{}, fmt.Errorf("%.200q does not stand in {{ }}", text)
	}
	words, err := words(inner)
	if err != nil {
		return Rule{}, err
	}
	var r Rule
	for _, w := range words {
		switch {
		case w[0] == "required" && len(w) == 1:
			r.Required = true
		case w[0] == "readonly" && len(w) == 1:
			r.ReadOnly = true
		case w[0] == "hints":
			r.Hints = append(r.Hints, w[1:]...)
		case w[0] == "format" && len(w) == 2 && r.format == nil:
			r.Format = w[1]
			if r.format, err = parseFormat(w[1]); err != nil {
				return Rule{}, err
			}
		default:
			return Rule{}, fmt.Errorf(`%q is none of required, readonly, format "...", hints "..."`, strings.Join(w, " "))
		}
	}
	return r, nil
}

var wordPattern = regexp.MustCompile("^(\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`|[^\\s|\"`]+)")

// words splits a rule at "|" and each part into its words. Backslashes in
// quotes stay, for they belong to regular expressions; only \" is the quote.
func words(text string) ([][]string, error) {
	var out [][]string
	for part := []string(nil); ; {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '|' {
			if len(part) == 0 {
				return nil, errors.New("a part of the rule is empty")
			}
			out = append(out, part)
			if text == "" {
				return out, nil
			}
			part, text = nil, text[1:]
			continue
		}
		word := wordPattern.FindString(text)
		if word == "" {
			return nil, fmt.Errorf("a quote is not closed: %.50s", text)
		}
		text = text[len(word):]
		if word[0] == '"' || word[0] == '`' {
			word = strings.ReplaceAll(word[1:len(word)-1], `\"`, `"`)
		}
		part = append(part, word)
	}
}

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

// CheckValues checks values, such as those of Merged with changes of a site,
// against schema.yaml. A value that is a macro is not known yet, and passes.
func (p *Pack) CheckValues(values []byte) []Problem {
	r := &report{}
	m := &macros{}
	top, err := m.parse(values)
	if err != nil {
		r.errorf("values", "%v", err)
		return r.problems
	}
	p.checkRules(r, m, top, false)
	return sorted(r.problems)
}

// checkRules holds values against every rule. What is required may be missing
// from the pack's own values: then whoever uses it must give it.
func (p *Pack) checkRules(r *report, m *macros, top *yaml.Node, own bool) {
	file := "values"
	if own {
		file = valuesFile
	}
	for _, rule := range p.Schema {
		where := file + ": " + rule.Path
		places := find(top, splitPath(rule.Path))
		if rule.Required && missing(places) {
			if own {
				r.warnf(where, "is required and has no value here: whoever uses the pack must give it")
			} else {
				r.errorf(where, "is required")
			}
			continue
		}
		for _, at := range places {
			checkRule(r, where, rule, at.value())
		}
		if rule.ReadOnly && !own {
			p.checkReadOnly(r, m, where, rule, places)
		}
	}
}

// missing tells whether one of the places, or the place, has no value.
func missing(places []place) bool {
	return len(places) == 0 || slices.ContainsFunc(places, func(at place) bool { return isEmpty(at.value()) })
}

func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" || n.ShortTag() == "!!null" || n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

func checkRule(r *report, where string, rule Rule, n *yaml.Node) {
	if rule.format == nil || isEmpty(n) {
		return
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode && rule.format.whole == nil && rule.format.kinds[0].name == "list" {
		items = n.Content
	}
	for _, item := range items {
		switch {
		case item.Kind != yaml.ScalarNode:
			r.errorf(where, "is %s; it must be %s", kindOf(item), rule.Format)
		case strings.Contains(item.Value, macroToken):
		case rule.format.check(item.Value) != "":
			r.errorf(where, "%s; it must be %s", rule.format.check(item.Value), rule.Format)
		case quoted(rule, item):
			r.warnf(where, "stands in quotes: it is a string that reads as %s", rule.Format)
		}
	}
}

// quoted tells whether a number or a truth value is written as a string.
func quoted(rule Rule, n *yaml.Node) bool {
	if rule.format.whole != nil || n.ShortTag() != "!!str" {
		return false
	}
	name := rule.format.kinds[0].name
	return name == "number" || name == "boolean"
}

// checkReadOnly compares what must not be changed with the pack's own values.
func (p *Pack) checkReadOnly(r *report, m *macros, where string, rule Rule, places []place) {
	own, err := m.parse(p.Values)
	if err != nil {
		return // Problems says so
	}
	before := find(own, splitPath(rule.Path))
	same := slices.EqualFunc(before, places, func(a, b place) bool { return m.same(a.value(), b.value()) })
	if !same {
		r.errorf(where, "is read-only: it must stay what the pack says")
	}
}

// same tells whether two values are the same, whatever their comments and quotes.
func (m *macros) same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && m.show(a.Value) == m.show(b.Value) && slices.EqualFunc(a.Content, b.Content, m.same)
}
