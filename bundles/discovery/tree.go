package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sealift/sealift/internal/problem"
)

// limits bound what is read from foreign bytes.
type limits struct {
	file     int // bytes of all documents together
	document int // bytes of one
	marks    int // what may begin a value in one document; bounds the memory
	aliased  int // values that the aliases of all documents stand for
	depth    int
}

// The API server takes objects of 3 MiB.
func documentLimits() limits {
	return limits{file: 64 << 20, document: 8 << 20, marks: 1_000_000, aliased: 100_000, depth: 200}
}

func embeddedLimits() limits {
	return limits{file: 4 << 20, document: 4 << 20, marks: 200_000, aliased: 10_000, depth: 100}
}

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
	if len(data) > l.file {
		return fmt.Errorf("it has %d bytes, more than %d", len(data), l.file)
	}
	b := builder{limits: l}
	for _, c := range split(mask(data)) {
		b.line = c.line
		if err := b.chunk(c.data, each); err != nil {
			return err
		}
	}
	return nil
}

// chunk is one document of a stream, and how many lines stand before it.
type chunk struct {
	line int
	data []byte
}

// separator returns where the next document begins, or -1: at a line that
// begins with three dashes. YAML wants a space or the end of the line behind
// them, Helm takes whatever follows.
func separator(data []byte) int {
	for from := 0; ; {
		at := bytes.Index(data[from:], []byte("\n---"))
		if at < 0 {
			return -1
		}
		from += at + 1
		if rest := data[from+3:]; len(rest) == 0 || rest[0] != '-' {
			return from
		}
	}
}

// split cuts a stream into its documents, without separators and directives.
func split(data []byte) []chunk {
	var out []chunk
	for line := 0; len(data) > 0; {
		end := separator(data)
		if end < 0 {
			end = len(data)
		}
		c := chunk{line: line, data: data[:end]}
		line += bytes.Count(c.data, []byte("\n"))
		if rest, ok := bytes.CutPrefix(c.data, []byte("---")); ok && !bytes.HasPrefix(rest, []byte("-")) {
			c.data = rest
		}
		if !bytes.HasPrefix(c.data, []byte("%")) && len(bytes.TrimSpace(c.data)) > 0 {
			out = append(out, c)
		}
		data = data[end:]
	}
	return out
}

// builder turns nodes into values.
type builder struct {
	limits
	line   int // lines before the document
	copied int // values that aliases stood for
}

// lineError is an error at a line of the file.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return e.text }

func (b *builder) errorf(line int, format string, args ...any) error {
	return &lineError{line: b.line + line, text: fmt.Sprintf(format, args...)}
}

var parserLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?((?s:.*))$`)

// chunk reads one document.
func (b *builder) chunk(data []byte, each func(*value)) error {
	if len(data) > b.document {
		return b.errorf(1, "a document of %d bytes, more than %d", len(data), b.document)
	}
	if marks(data) > b.marks {
		return b.errorf(1, "a document of more than %d values", b.marks)
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			m := parserLine.FindStringSubmatch(err.Error())
			line, _ := strconv.Atoi(m[1])
			return b.errorf(max(line, 1), "%s", unmask(m[2]))
		}
		v, err := b.build(&n, 0, false)
		if err != nil {
			return err
		}
		if v != nil {
			each(v)
		}
	}
}

// marks counts what separates values.
func marks(data []byte) int {
	n := 0
	for _, c := range data {
		switch c {
		case ',', '\n', '\r', ':', '?', '-', '[', '{':
			n++
		}
	}
	return n
}

// build returns the value of a node; copying is set below an alias.
func (b *builder) build(n *yaml.Node, depth int, copying bool) (*value, error) {
	if copying {
		b.copied++
	}
	switch {
	case b.copied > b.aliased:
		return nil, b.errorf(n.Line, "its aliases stand for more than %d values", b.aliased)
	case depth > b.depth:
		return nil, b.errorf(n.Line, "nested more than %d deep", b.depth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil //nolint:nilnil // as below
		}
		return b.build(n.Content[0], depth+1, copying)
	case yaml.AliasNode:
		return b.build(n.Alias, depth+1, true)
	case yaml.SequenceNode:
		return b.list(n, depth, copying)
	case yaml.MappingNode:
		return b.mapping(n, depth, copying)
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return &value{kind: yaml.ScalarNode}, nil
		}
		return &value{kind: yaml.ScalarNode, text: unmask(n.Value)}, nil
	default:
		return nil, nil //nolint:nilnil // a document without content is no error and no value
	}
}

func (b *builder) list(n *yaml.Node, depth int, copying bool) (*value, error) {
	v := &value{kind: yaml.SequenceNode, items: make([]*value, 0, len(n.Content))}
	for _, c := range n.Content {
		item, err := b.build(c, depth+1, copying)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

func (b *builder) mapping(n *yaml.Node, depth int, copying bool) (*value, error) {
	v := &value{kind: yaml.MappingNode, fields: make([]field, 0, len(n.Content)/2)}
	var merged []*value
	for i := 0; i+1 < len(n.Content); i += 2 {
		f, err := b.build(n.Content[i+1], depth+1, copying)
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

// unreadable names the file and, where it is known, the line.
func unreadable(source string, err error) error {
	var at *lineError
	if errors.As(err, &at) {
		source += ":" + strconv.Itoa(at.line)
	}
	return problem.New(problem.Usage, "mend the file, or render it first if it is a template", "%s: %w: %w", source, ErrUnreadable, err)
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
