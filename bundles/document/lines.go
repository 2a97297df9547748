package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// withLines puts before each problem the line of the field that it speaks of,
// or of the nearest field above it that stands in the file, and sorts by it.
func withLines(data []byte, problems []string) []string {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil || len(root.Content) == 0 {
		return problems // it was read already: this reader is only asked for lines
	}
	type located struct {
		line int
		text string
	}
	found := make([]located, 0, len(problems))
	for _, p := range problems {
		path, _, _ := strings.Cut(p, ": ")
		line := lineOf(root.Content[0], path)
		found = append(found, located{line, fmt.Sprintf("line %d: %s", line, p)})
	}
	slices.SortStableFunc(found, func(a, b located) int { return cmp.Compare(a.line, b.line) })
	out := make([]string, 0, len(found))
	for _, f := range found {
		out = append(out, f.text)
	}
	return out
}

// lineOf follows a path such as spec.items[2].name as far as the file goes.
func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		key, value := child(node, step)
		if value == nil {
			return line
		}
		line, node = key.Line, value
	}
	return line
}

// child returns the key and the value at one step of a path; an item of a list
// is its own key.
func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		var at int
		if _, err := fmt.Sscan(step, &at); err == nil && at >= 0 && at < len(node.Content) {
			return node.Content[at], node.Content[at]
		}
	}
	return nil, nil
}
