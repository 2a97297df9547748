package packs

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values are worked on as YAML nodes, not as Go values: so the order of keys,
// comments, quotes and macros stay what their author wrote.

// macroToken stands for macros while YAML is parsed.
const macroToken = "SEALIFTMACRO"

// macroPattern matches macros, and what looks like our token already.
var macroPattern = regexp.MustCompile(`\{\{.*?\}\}|` + macroToken)

// macros keeps the macros of texts that are merged.
type macros struct{ found []string }

// hide replaces each macro by a word that YAML takes for plain text.
func (m *macros) hide(text string) string {
	return macroPattern.ReplaceAllStringFunc(text, func(macro string) string {
		m.found = append(m.found, macro)
		return macroToken + strconv.Itoa(len(m.found)-1) + "."
	})
}

// show puts the macros back.
func (m *macros) show(text string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, macroToken)
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		number, after, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= len(m.found) { // nothing that hide made
			out.WriteString(macroToken)
			text = rest
			continue
		}
		out.WriteString(m.found[i])
		text = after
	}
}

// parse reads one YAML document whose top is a mapping. Nothing is an empty mapping.
func (m *macros) parse(data []byte) (*yaml.Node, error) {
	var doc, second yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(m.hide(string(data))))
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, m.plain(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, errors.New("holds more than one YAML document")
	} else if !errors.Is(err, io.EOF) {
		return nil, m.plain(err)
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	}
	e := &expander{left: maxExpanded}
	top, err := e.expand(doc.Content[0], false)
	if err != nil {
		return nil, err
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("is %s, not a mapping", kindOf(top))
	}
	// Comments that a blank line sets off from the first or the last key.
	top.HeadComment = strings.TrimSpace(doc.HeadComment + "\n\n" + top.HeadComment)
	top.FootComment = strings.TrimSpace(top.FootComment + "\n\n" + doc.FootComment)
	return top, nil
}

// plain returns an error of the YAML reader as people should see it.
func (m *macros) plain(err error) error {
	return errors.New(m.show(strings.TrimPrefix(err.Error(), "yaml: ")))
}

// print writes a document, and makes sure that it can be read again.
func (m *macros) print(top *yaml.Node) ([]byte, error) {
	var out strings.Builder
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(top), enc.Close()); err != nil {
		return nil, err
	}
	data := []byte(m.show(out.String()))
	if _, err := (&macros{}).parse(data); err != nil {
		return nil, fmt.Errorf("what comes out cannot be read again: %w", err)
	}
	return data, nil
}

// maxExpanded is how many nodes the aliases of a document may stand for.
const maxExpanded = 100_000

// expander puts copies of what aliases stand for in their places, so that one
// place can be changed without the other.
type expander struct{ left int }

func (e *expander) expand(n *yaml.Node, copying bool) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		return e.expand(n.Alias, true)
	}
	if copying {
		if e.left--; e.left < 0 {
			return nil, errors.New("its aliases stand for too much")
		}
		clone := *n
		clone.Content = slices.Clone(n.Content)
		n = &clone
	}
	n.Anchor = ""
	for i, c := range n.Content {
		child, err := e.expand(c, copying)
		if err != nil {
			return nil, err
		}
		n.Content[i] = child
	}
	return n, nil
}

// place is where a value stands: Content[index] of a mapping or a list.
type place struct {
	parent *yaml.Node
	index  int
}

func (p place) value() *yaml.Node { return p.parent.Content[p.index] }

// everyItem is the part of a path that means each item of a list.
const everyItem = "$[]"

// find returns the places that a dotted path names. A key may have dots
// itself. Of keys that stand twice the last counts.
func find(n *yaml.Node, path []string) []place {
	if len(path) == 0 {
		return nil
	}
	var out []place
	if n.Kind == yaml.SequenceNode && path[0] == everyItem {
		for i := range n.Content {
			out = append(out, below(place{n, i}, path[1:])...)
		}
		return out
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := range path {
		if v := valueIndex(n, strings.Join(path[:i+1], ".")); v >= 0 {
			if out := below(place{n, v}, path[i+1:]); len(out) > 0 {
				return out
			}
		}
	}
	return nil
}

// below returns p itself at the end of a path, else what the rest of it names.
func below(p place, rest []string) []place {
	if len(rest) == 0 {
		return []place{p}
	}
	return find(p.value(), rest)
}

// valueIndex returns where the value of a key stands in a mapping, or -1.
func valueIndex(n *yaml.Node, key string) int {
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}

// get returns the value at a path without dots in its keys; nil if there is none.
func get(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		i := valueIndex(n, key)
		if i < 0 {
			return nil
		}
		n = n.Content[i]
	}
	return n
}

func splitPath(path string) []string { return strings.Split(path, ".") }

// remove takes out what a path names.
func remove(top *yaml.Node, path string) {
	places := find(top, splitPath(path))
	for _, p := range slices.Backward(places) {
		first := p.index
		if p.parent.Kind == yaml.MappingNode {
			first-- // the key
		}
		p.parent.Content = slices.Delete(p.parent.Content, first, p.index+1)
	}
}

// merge puts src over dst: mappings are merged key by key, everything else is replaced.
func merge(dst, src *yaml.Node) {
	if len(src.Content) > 0 {
		dst.Style &^= yaml.FlowStyle // the text of src may have comments
	}
	for i := 0; i+1 < len(src.Content); i += 2 {
		key, value := src.Content[i], src.Content[i+1]
		at := valueIndex(dst, key.Value)
		switch {
		case at < 0:
			dst.Content = append(dst.Content, key, value)
		case dst.Content[at].Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			merge(dst.Content[at], value)
		default:
			dst.Content[at] = value
		}
	}
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	case n.ShortTag() == "!!bool":
		return "true or false"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "a number"
	default:
		return "a string"
	}
}

// Content is what values.yaml says that the pack needs besides itself.
type Content struct {
	Images []string
	Charts []ContentChart
}

// ContentChart is a Helm chart in a repository.
type ContentChart struct{ Repo, Name, Version string }

// Content returns pack.content of values.yaml. It is the authors' own list,
// which may be incomplete or old. What cannot be read is left out; Problems
// says so.
func (p *Pack) Content() Content {
	m := &macros{}
	top, err := m.parse(p.Values)
	if err != nil {
		return Content{}
	}
	var out Content
	text := func(n *yaml.Node) string {
		if n == nil || n.Kind != yaml.ScalarNode {
			return ""
		}
		return m.show(n.Value)
	}
	if images := get(top, "pack", "content", "images"); images != nil && images.Kind == yaml.SequenceNode {
		for _, n := range images.Content {
			if image := text(get(n, "image")); image != "" && !slices.Contains(out.Images, image) {
				out.Images = append(out.Images, image)
			}
		}
	}
	if charts := get(top, "pack", "content", "charts"); charts != nil && charts.Kind == yaml.SequenceNode {
		for _, n := range charts.Content {
			out.Charts = append(out.Charts, ContentChart{Repo: text(get(n, "repo")), Name: text(get(n, "name")), Version: text(get(n, "version"))})
		}
	}
	return out
}

// checkOwnValues looks at values.yaml by itself and through the schema.
func (p *Pack) checkOwnValues(r *report) {
	if p.Values == nil {
		r.errorf(valuesFile, "is missing; an empty one will do")
		return
	}
	m := &macros{}
	top, err := m.parse(p.Values)
	if err != nil {
		r.errorf(valuesFile, "%v", err)
		return
	}
	var decoded map[string]any
	if err := top.Decode(&decoded); err != nil {
		r.warnf(valuesFile, "%v", m.plain(err))
	}
	if len(p.Content().Images) == 0 && len(p.Charts())+len(p.Manifests()) > 0 {
		r.warnf(valuesFile+": pack.content.images", "is missing: the images of the pack can only be found by rendering it")
	}
	p.checkRules(r, m, top, true)
}

// MergeValues merges values files in their order, key by key. Lists and single
// values are replaced; macros stay as they are.
func MergeValues(files ...[]byte) ([]byte, error) {
	m := &macros{}
	top := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i, data := range files {
		next, err := m.parse(data)
		if err != nil {
			return nil, fmt.Errorf("reading values: %w: %w", ErrInvalid, err)
		}
		if i == 0 {
			top = next
		} else {
			merge(top, next)
		}
	}
	return m.print(top)
}

// DecodeValues returns values as Go values, with macros as text.
func DecodeValues(data []byte) (map[string]any, error) {
	m := &macros{}
	top, err := m.parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading values: %w: %w", ErrInvalid, err)
	}
	m.reveal(top)
	out := map[string]any{}
	if err := top.Decode(&out); err != nil {
		return nil, fmt.Errorf("reading values: %w: %w", ErrInvalid, err)
	}
	return out, nil
}

// reveal puts the macros back into a parsed document.
func (m *macros) reveal(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Value = m.show(n.Value)
	}
	for _, c := range n.Content {
		m.reveal(c)
	}
}
