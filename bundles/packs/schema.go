package packs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
