package discovery

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// env reads a list of {name, value}.
func (w *walker) env(v *value, p place) {
	values := map[string]string{}
	for _, item := range v.items {
		values[plain(item.str("name"))] = item.str("value")
	}
	for i, item := range v.items {
		at := p.item(i)
		w.variable(item.str("name"), item.str("value"), at.path+".value", values)
		for _, f := range item.fields {
			if f.key != "name" && f.key != "value" {
				w.visit(f.value, at.field(item, f.key))
			}
		}
	}
}

// isEnv tells whether a list holds environment variables: maps of a name and,
// mostly, a value.
func isEnv(v *value, key string) bool {
	values := 0
	for _, item := range v.items {
		if item.get("name") == nil {
			return false
		}
		for _, f := range item.fields {
			switch f.key {
			case "name":
			case "value", "valueFrom":
				values++
			default:
				return false
			}
		}
	}
	return values > 0 && (key == "env" || values == len(v.items))
}

// variable reads one environment variable, or one entry of a ConfigMap that is
// named like one.
func (w *walker) variable(name, text, path string, all map[string]string) {
	text = strings.TrimSpace(text)
	rule := ruleImageEnv
	if strings.HasPrefix(name, "RELATED_IMAGE_") {
		rule = ruleRelated
	}
	whole := siblingParts(name, text, all)
	switch r := read(text); {
	case text == "":
	case whole != "":
		w.found(whole, path, ruleSiblings, Likely)
	case !mentionsImage(name) && r.host && r.telling():
		w.found(text, path, ruleEnv, Likely)
	case !mentionsImage(name):
		w.scalar(text, place{path: path})
	case r.named():
		w.found(text, path, rule, Likely)
	case r.rule == "":
		w.ignore(text, path, ruleBareWord)
	case strings.ContainsAny(text, "\n=, "):
		w.several(text, path, rule)
	case r.rule != ruleNotReference && r.rule != ruleVersion:
		w.ignore(text, path, r.rule)
	}
}

// repositoryName is the name of what holds an image without its tag.
var repositoryName = regexp.MustCompile(`^(.+?)(repository|repo|name|image)?$`)

// siblingParts puts together what fields or variables of one prefix hold in
// parts: X_REPOSITORY or X_IMAGE with X_TAG. The keys of all are plain.
func siblingParts(name, text string, all map[string]string) string {
	if r := read(text); r.pinned() || !r.named() || plain(name) == "" {
		return ""
	}
	for _, p := range repositoryName.FindStringSubmatch(plain(name))[:2] {
		for _, suffix := range []string{"tag", "imagetag", "version"} {
			if tag := all[p+suffix]; tag != "" {
				return imageParts{registry: all[p+"registry"], repository: text, tag: tag}.String()
			}
		}
	}
	return ""
}

// several reads a text that holds images one after the other, with or without
// a name before each: "4.1=quay.io/a/b:1\n4.2=quay.io/a/b:2".
func (w *walker) several(text, path, rule string) {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		w.text(text, place{path: path, key: "images"})
		return
	}
	for _, t := range tokens(text) {
		if r := read(t); r.telling() {
			w.found(t, path, rule, Likely)
		}
	}
}

// isArgs tells whether a list holds the words of a command line.
func isArgs(v *value, key string) bool {
	flags := key == "args" || key == "command"
	for _, item := range v.items {
		if item.kind != yaml.ScalarNode {
			return false
		}
		flags = flags || strings.HasPrefix(item.text, "--") && !strings.Contains(item.text, "\n")
	}
	return flags
}

var flagWord = regexp.MustCompile(`^--?([A-Za-z][\w.-]*)(?:[= ](.*))?$`)

// arguments reads a command line: --flag=value, or --flag and then the value.
func (w *walker) arguments(v *value, p place) {
	pending := ""
	for i, item := range v.items {
		path := p.item(i).path
		m := flagWord.FindStringSubmatch(strings.TrimSpace(item.text))
		switch {
		case m == nil && pending != "":
			w.argument(pending, item.text, path)
		case m == nil:
			w.scalar(item.text, place{path: path})
		case m[2] != "":
			w.argument(m[1], m[2], path)
		}
		pending = ""
		if m != nil && m[2] == "" {
			pending = m[1]
		}
	}
}

// argument reads the value of a flag. A flag that speaks of images needs less
// of its value than another.
func (w *walker) argument(flag, text, path string) {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	r := read(text)
	switch {
	case strings.Contains(text, "\n"):
		w.text(text, place{path: path})
	case mentionsImage(flag) && r.named():
		w.found(text, path, ruleImageArg, Likely)
	case mentionsImage(flag) && r.rule == ruleTemplate:
		w.ignore(text, path, r.rule)
	case r.host && r.telling():
		w.found(text, path, ruleArg, Likely)
	case mentionsImage(flag) && strings.ContainsAny(text, "=, "):
		w.several(text, path, ruleImageArg)
	default:
		w.words(text, path, ruleText)
	}
}
