package discovery

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxLevel is how deep documents may stand in strings of documents.
const maxLevel = 3

// config reads a ConfigMap or a Secret, whose values are files, variables or
// settings of whoever mounts them.
func (w *walker) config(v *value, p place) {
	for _, f := range v.fields {
		at := p.field(v, f.key)
		switch {
		case f.key == "data" && v.str("kind") == "Secret":
			w.configData(decoded(f.value), at, false)
		case f.key == "data" || f.key == "stringData":
			w.configData(f.value, at, mentionsImage(v.get("metadata").str("name")))
		case !skipped(f.key):
			w.visit(f.value, at)
		}
	}
}

// configData reads the entries of a ConfigMap or Secret. The name of an image
// set says of its entries what their keys do not.
func (w *walker) configData(data *value, p place, imageSet bool) {
	values := map[string]string{}
	for _, f := range data.fields {
		values[plain(f.key)] = f.value.text
	}
	for _, f := range data.fields {
		at := p.field(data, f.key)
		text := strings.TrimSpace(f.value.text)
		switch {
		case f.value.kind != yaml.ScalarNode:
			w.visit(f.value, at)
		case f.key == "_example":
			w.with(func(i *walker) { i.muted = ruleExample }).scalar(text, at)
		case imageSet && read(text).telling():
			w.found(text, at.path, ruleImageSet, Likely)
		case strings.Contains(text, "\n"):
			w.text(f.value.text, at)
		case isImageKey(f.key) && read(text).named() && siblingParts(f.key, text, values) == "":
			w.found(text, at.path, ruleConfigKey, Likely)
		case mentionsImage(f.key) || siblingParts(f.key, text, values) != "":
			w.variable(f.key, f.value.text, at.path, values)
		default:
			w.scalar(f.value.text, at)
		}
	}
}

// decoded returns the data of a Secret as text; what is not text is left out.
func decoded(data *value) *value {
	out := &value{kind: yaml.MappingNode}
	for _, f := range data.fields {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(f.value.text))
		if err == nil && utf8.Valid(raw) {
			out.fields = append(out.fields, field{key: f.key, value: &value{kind: yaml.ScalarNode, text: string(raw)}})
		}
	}
	return out
}

// text reads a string of several lines: YAML or JSON if it is a map or a list
// of one, else its lines. What is found there is likely at most: somebody has
// to make objects of it first.
func (w *walker) text(s string, p place) {
	if w.level >= maxLevel {
		return
	}
	inner := w.with(func(i *walker) {
		i.level++
		if i.weakest == "" {
			i.weakest = Likely
		}
	})
	if w.muted == ruleSchema {
		inner.lines(s, p) // descriptions
		return
	}
	var docs []*value
	err := parse([]byte(withoutControlLines(s)), embeddedLimits(), func(v *value) { docs = append(docs, v) })
	if err != nil || !structured(docs) {
		inner.lines(s, p)
		return
	}
	for i, d := range docs {
		at := place{path: fmt.Sprintf("%s|%d", p.path, i), key: p.key}
		if d.kind != yaml.MappingNode {
			at.up = p.up
		}
		inner.objectAt(d, at)
	}
}

// structured tells whether documents are more than plain text: every one is a
// map with keys that look like keys, or a list.
func structured(docs []*value) bool {
	for _, d := range docs {
		switch d.kind {
		case yaml.ScalarNode:
			return false
		case yaml.MappingNode:
			for _, f := range d.fields {
				if strings.ContainsAny(f.key, " \t\n") {
					return false
				}
			}
		}
	}
	return len(docs) > 0
}

// controlLine is a line of a template that holds only macros: if, end, define.
var controlLine = regexp.MustCompile(`(?m)^[ \t]*(\{\{[^\n]*\}\}[ \t]*)+$`)

func withoutControlLines(s string) string {
	if !strings.Contains(s, "{{") {
		return s
	}
	return controlLine.ReplaceAllString(s, "")
}

// imageLine is a line of YAML, of a shell script or of an ini file that sets an
// image: image: a, IMAGE="a", export FOO_IMAGE=a.
var imageLine = regexp.MustCompile(`^[\s"'-]*(?:export\s+)?([\w.-]+)["']?\s*[:=]\s*(\S.*)$`)

// lines reads text that is neither YAML nor JSON: templates, scripts, settings.
func (w *walker) lines(s string, p place) {
	for n, line := range strings.Split(s, "\n") {
		path := fmt.Sprintf("%s|line %d", p.path, n+1)
		var m []string
		if strings.Contains(strings.ToLower(line), "image") {
			m = imageLine.FindStringSubmatch(line)
		}
		if m == nil || !isImageKey(m[1]) {
			w.words(line, path, ruleText)
			continue
		}
		text, _, _ := strings.Cut(m[2], " #")
		text = strings.Trim(strings.TrimSpace(text), `"',;`)
		if r := read(text); r.named() || r.rule == ruleTemplate {
			w.found(text, path, ruleLine, Likely)
		} else {
			w.words(text, path, ruleText)
		}
	}
}

// definition reads a CustomResourceDefinition. Its schema describes fields and
// gives examples, which are no images; but the defaults in it are what the
// API server writes into objects.
func (w *walker) definition(v *value, p place) {
	spec := v.get("spec")
	for i, version := range spec.get("versions").list() {
		if schema := version.get("schema").get("openAPIV3Schema"); schema != nil {
			w.schema(schema, place{path: fmt.Sprintf("spec.versions[%d].schema.openAPIV3Schema", i)})
		}
	}
	if schema := spec.get("validation").get("openAPIV3Schema"); schema != nil {
		w.schema(schema, place{path: "spec.validation.openAPIV3Schema"})
	}
	if meta := v.get("metadata"); meta != nil {
		w.visit(meta, p.field(v, "metadata"))
	}
}

func (w *walker) schema(schema *value, p place) {
	w.with(func(i *walker) { i.muted = ruleSchema }).visit(schema, p)
	if d := defaults(schema); d != nil {
		w.with(func(i *walker) { i.rule, i.weakest = ruleDefault, Likely }).visit(d, place{path: p.path + "#default", up: &scope{v: d}})
	}
}

// defaults returns the object that a schema's defaults make, or nil.
func defaults(schema *value) *value {
	if d := schema.get("default"); d != nil {
		return d
	}
	out := &value{kind: yaml.MappingNode}
	if properties := schema.get("properties"); properties != nil {
		for _, f := range properties.fields {
			if d := defaults(f.value); d != nil {
				out.fields = append(out.fields, field{key: f.key, value: d})
			}
		}
	}
	if items := schema.get("items"); items != nil {
		if d := defaults(items); d != nil {
			return &value{kind: yaml.SequenceNode, items: []*value{d}}
		}
	}
	if len(out.fields) == 0 {
		return nil
	}
	return out
}

// list returns the items of a list, or nothing.
func (v *value) list() []*value {
	if v == nil {
		return nil
	}
	return v.items
}
