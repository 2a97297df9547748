package packs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sealift/sealift/internal/problem"
)

// Preset is a named change of the values.
type Preset struct {
	Name        string
	DisplayName string
	Group       string   // of presets that exclude one another, such as enable and disable
	Remove      []string // dotted paths that are taken out first
	Add         string   // YAML that is then merged over the values
}

// readPresets reads presets.yaml.
func (p *Pack) readPresets(data []byte) {
	m := &macros{}
	top, err := m.parse(data)
	if err != nil {
		p.found(SeverityError, presetsFile, "%v", err)
		return
	}
	list := get(top, "presets")
	if list == nil || list.ShortTag() == "!!null" {
		return
	}
	if list.Kind != yaml.SequenceNode {
		p.found(SeverityError, presetsFile+": presets", "is %s, not a list", kindOf(list))
		return
	}
	for i, n := range list.Content {
		p.readPreset(fmt.Sprintf("%s: presets[%d]", presetsFile, i), m, n)
	}
}

func (p *Pack) readPreset(where string, m *macros, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.found(SeverityError, where, "is %s, not a mapping", kindOf(n))
		return
	}
	var preset Preset
	texts := map[string]*string{"name": &preset.Name, "displayName": &preset.DisplayName, "group": &preset.Group}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		into, isText := texts[key]
		switch {
		case isText && value.Kind == yaml.ScalarNode:
			*into = m.show(value.Value)
		case key == "remove":
			preset.Remove = p.removals(where, m, value)
		case key == "add":
			preset.Add = p.additions(where, m, value)
		case isText:
			p.found(SeverityError, where+"."+key, "is %s, not a string", kindOf(value))
		default:
			p.found(SeverityWarning, where+"."+m.show(key), "is not a field of the format; it is kept as it is")
		}
	}
	switch {
	case preset.Name == "":
		p.found(SeverityError, where+".name", "is missing")
	case slices.ContainsFunc(p.Presets, func(other Preset) bool { return other.Name == preset.Name }):
		p.found(SeverityError, where+".name", "%s stands twice", preset.Name)
	default:
		p.Presets = append(p.Presets, preset)
	}
}

func (p *Pack) removals(where string, m *macros, n *yaml.Node) []string {
	if n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.found(SeverityError, where+".remove", "is %s, not a list of paths", kindOf(n))
		return nil
	}
	var out []string
	for i, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Value == "" {
			p.found(SeverityError, fmt.Sprintf("%s.remove[%d]", where, i), "is %s, not a path", kindOf(item))
			continue
		}
		out = append(out, m.show(item.Value))
	}
	return out
}

// additions returns what a preset adds: text that holds YAML, or YAML in place.
func (p *Pack) additions(where string, m *macros, n *yaml.Node) string {
	text := m.show(n.Value)
	switch {
	case n.ShortTag() == "!!null":
		return ""
	case n.Kind != yaml.ScalarNode:
		data, err := m.print(n)
		if err != nil {
			p.found(SeverityError, where+".add", "%v", err)
			return ""
		}
		text = string(data)
	}
	if _, err := (&macros{}).parse([]byte(text)); err != nil {
		p.found(SeverityError, where+".add", "%v", err)
	}
	return text
}

// Merged returns the values with presets applied in the order given: of each,
// first what it removes is taken out, then what it adds is merged in. Mappings
// are merged key by key; lists and single values are replaced. Of two presets
// of one group the later counts. Without presets the bytes are those of values.yaml.
func (p *Pack) Merged(presets []string) ([]byte, error) {
	if len(presets) == 0 {
		return bytes.Clone(p.Values), nil
	}
	m := &macros{}
	top, err := m.parse(p.Values)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w: %w", valuesFile, p.Name(), ErrInvalid, err)
	}
	for _, name := range presets {
		i := slices.IndexFunc(p.Presets, func(other Preset) bool { return other.Name == name })
		if i < 0 {
			return nil, problem.New(problem.Usage, "name a preset that the pack has", "pack %s has no preset %q; %s", p.Name(), name, p.presetsThereAre())
		}
		add, err := m.parse([]byte(p.Presets[i].Add))
		if err != nil {
			return nil, fmt.Errorf("preset %s of %s: %w: %w", name, p.Name(), ErrInvalid, err)
		}
		for _, path := range p.Presets[i].Remove {
			remove(top, path)
		}
		merge(top, add)
	}
	out, err := m.print(top)
	if err != nil {
		return nil, fmt.Errorf("merging presets of %s: %w", p.Name(), err)
	}
	return out, nil
}

func (p *Pack) presetsThereAre() string {
	if len(p.Presets) == 0 {
		return "it has none"
	}
	names := make([]string, len(p.Presets))
	for i, preset := range p.Presets {
		names[i] = preset.Name
	}
	return "it has " + strings.Join(names, ", ")
}
