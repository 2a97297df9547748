package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sealift/sealift/internal/problem"
)

// limits bound what is read from foreign bytes.
type limits struct {
	bytes  int
	values int // in all documents of a file, with aliases counted as often as used
	depth  int
}

var (
	documentLimits = limits{bytes: 32 << 20, values: 2_000_000, depth: 200}
	embeddedLimits = limits{bytes: 2 << 20, values: 100_000, depth: 100}
)

// value is a YAML value without aliases and merge keys: a scalar with its text,
// a list or a map.
type value struct {
	kind   yaml.Kind // ScalarNode, SequenceNode or MappingNode
	text   string
	items  []*value
	fields []field // in the order of the file
}

type field struct {
	key   string
	value *value
}

// get returns the value of a key of a map, or nil.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for _, f := range v.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// str returns the text of the scalar under a key, or "".
func (v *value) str(key string) string {
	if f := v.get(key); f != nil && f.kind == yaml.ScalarNode {
		return f.text
	}
	return ""
}

// parse reads data as a stream of YAML documents and calls each with every one
// that is not empty.
func parse(data []byte, l limits, each func(*value)) error {
	if len(data) > l.bytes {
		return fmt.Errorf("it has %d bytes, more than %d", len(data), l.bytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(mask(data)))
	b := builder{limits: l}
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		v, err := b.build(&n, 0)
		if err != nil {
			return err
		}
		if v != nil {
			each(v)
		}
	}
}

// builder turns nodes into values and counts them.
type builder struct {
	limits
	count int
}

func (b *builder) build(n *yaml.Node, depth int) (*value, error) {
	b.count++
	switch {
	case b.count > b.values:
		return nil, fmt.Errorf("line %d: more than %d values, aliases included", n.Line, b.values)
	case depth > b.depth:
		return nil, fmt.Errorf("line %d: nested more than %d deep", n.Line, b.depth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil //nolint:nilnil // as below
		}
		return b.build(n.Content[0], depth+1)
	case yaml.AliasNode:
		return b.build(n.Alias, depth+1)
	case yaml.SequenceNode:
		return b.list(n, depth)
	case yaml.MappingNode:
		return b.mapping(n, depth)
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return &value{kind: yaml.ScalarNode}, nil
		}
		return &value{kind: yaml.ScalarNode, text: unmask(n.Value)}, nil
	default:
		return nil, nil //nolint:nilnil // a document without content is no error and no value
	}
}

func (b *builder) list(n *yaml.Node, depth int) (*value, error) {
	v := &value{kind: yaml.SequenceNode, items: make([]*value, 0, len(n.Content))}
	for _, c := range n.Content {
		item, err := b.build(c, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

func (b *builder) mapping(n *yaml.Node, depth int) (*value, error) {
	v := &value{kind: yaml.MappingNode, fields: make([]field, 0, len(n.Content)/2)}
	var merged []*value
	for i := 0; i+1 < len(n.Content); i += 2 {
		f, err := b.build(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if n.Content[i].Tag == "!!merge" {
			merged = append(append(merged, f), f.items...)
			continue
		}
		v.fields = append(v.fields, field{key: unmask(n.Content[i].Value), value: f})
	}
	for _, m := range merged {
		for _, f := range m.fields {
			if v.get(f.key) == nil {
				v.fields = append(v.fields, f)
			}
		}
	}
	return v, nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)

// unreadable names the file and, where it is known, the line.
func unreadable(source string, err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	place := source
	if m[1] != "" {
		place += ":" + m[1]
	}
	return problem.New(problem.Usage, "mend the file, or render it first if it is a template", "%s: %s: %w", place, m[2], ErrUnreadable)
}

// Macros that only a deployment resolves, such as {{.spectro.var.x}}, stand in
// packs without quotes and are not YAML. Their characters are moved to the
// private area of Unicode while YAML is read, and back in what was read.
const private = 0xE000

var macro = regexp.MustCompile(`\{\{[^\n{}]*\}\}`)

func mask(data []byte) []byte {
	if !bytes.Contains(data, []byte("{{")) {
		return data
	}
	return macro.ReplaceAllFunc(data, func(m []byte) []byte {
		return []byte(strings.Map(func(r rune) rune {
			if r < 0x80 {
				return private + r
			}
			return r
		}, string(m)))
	})
}

func unmask(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= private && r < private+0x80 {
			return r - private
		}
		return r
	}, s)
}
