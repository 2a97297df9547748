package discovery

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The names that operators and charts give to the parts of an image, the most
// telling first.
var (
	registryKeys   = []string{"registry", "imageRegistry", "hub", "base"}
	repositoryKeys = []string{"repository", "imageRepository", "repo"}
	nameKeys       = []string{"image", "imageName", "name"}
	tagKeys        = []string{"tag", "imageTag"}
	versionKeys    = []string{"version", "imageVersion"}
	digestKeys     = []string{"digest", "imageDigest", "sha256", "sha"}
)

// first returns the first of keys that holds text in v, and the text.
func first(v *value, keys []string) (key, text string) {
	for _, k := range keys {
		if t := v.str(k); t != "" {
			return k, t
		}
	}
	return "", ""
}

// imageParts are what an image is put together from.
type imageParts struct {
	registry, repository, tag, digest string
}

// String puts the parts together.
func (p imageParts) String() string {
	s := p.repository
	if first, _, slash := strings.Cut(s, "/"); p.registry != "" && (!slash || !strings.ContainsAny(first, ".:")) {
		s = strings.TrimRight(p.registry, "/") + "/" + s
	}
	if p.tag != "" {
		s += ":" + p.tag
	}
	if p.digest != "" {
		digest := strings.TrimPrefix(p.digest, "@")
		if !strings.Contains(digest, ":") {
			digest = "sha256:" + digest
		}
		s += "@" + digest
	}
	return s
}

// parts reads a map that holds an image in parts. It returns the keys that
// need no further look.
func (w *walker) parts(v *value, p place) map[string]bool {
	if key, name := first(v, nameKeys[:2]); key != "" {
		return w.namedParts(v, p, key, name)
	}
	repoKey, repository := first(v, repositoryKeys)
	if repoKey == "" || strings.Contains(repository, " ") {
		return nil
	}
	parts := imageParts{repository: repository}
	var tagKey, registryKey, digestKey string
	tagKey, parts.tag = first(v, tagKeys)
	registryKey, parts.registry = first(v, registryKeys)
	digestKey, parts.digest = first(v, digestKeys)
	if tagKey == "" && isImageKey(p.key) {
		tagKey, parts.tag = first(v, versionKeys)
	}
	if tagKey == "" && digestKey == "" {
		if !isImageKey(p.key) {
			return nil
		}
		w.ignore(parts.String(), p.path, ruleNoTag)
		return map[string]bool{repoKey: true, registryKey: true}
	}
	w.found(parts.String(), p.path, ruleParts, Likely)
	return map[string]bool{repoKey: true, tagKey: true, registryKey: true, digestKey: true}
}

// namedParts reads a map with a name of an image that lacks a tag, a registry
// or both: {image: a, tag: b}, {repository: r, image: a, version: b}, or with
// tag and registry in the maps around it.
func (w *walker) namedParts(v *value, p place, key, name string) map[string]bool {
	if r := read(name); r.rule != "" || r.pinned() || isContainerList(p.key) {
		return nil
	}
	parts, rule := imageParts{repository: name}, ruleParts
	tagKey, tag := first(v, append(tagKeys[:2:2], versionKeys...))
	digestKey, digest := first(v, digestKeys)
	registryKey, registry := first(v, append(registryKeys[:4:4], repositoryKeys...))
	if tagKey == "" && digestKey == "" {
		tag, rule = inherited(p.up, tagKeys), ruleInherited
	}
	if registry == "" && !read(name).host {
		registry = inherited(p.up, registryKeys)
	}
	parts.tag, parts.digest, parts.registry = tag, digest, registry
	if tag == "" && digest == "" || rule == ruleInherited && registry == "" {
		return nil
	}
	w.found(parts.String(), p.path+"."+key, rule, Likely)
	return map[string]bool{key: true, tagKey: true, digestKey: true, registryKey: true}
}

// maxInherited is how many maps around an image are asked for its parts.
const maxInherited = 4

// inherited returns the text of the first of keys in the maps around a place,
// or in the maps named global beside them.
func inherited(s *scope, keys []string) string {
	for range maxInherited {
		if s == nil {
			return ""
		}
		if _, text := first(s.v, keys); text != "" {
			return text
		}
		if _, text := first(s.v.get("global"), keys); text != "" {
			return text
		}
		s = s.up
	}
	return ""
}

// env reads a list of {name, value}.
func (w *walker) env(v *value, p place) {
	values := map[string]string{}
	for _, item := range v.items {
		values[item.str("name")] = item.str("value")
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

// isEnv tells whether a list holds environment variables: maps of name and value.
func isEnv(v *value) bool {
	for _, item := range v.items {
		if item.get("name") == nil || item.get("value") == nil && item.get("valueFrom") == nil || len(item.fields) > 2 {
			return false
		}
	}
	return len(v.items) > 0
}

var envRepository = regexp.MustCompile(`^(.*?)_?(REPOSITORY|REPO|NAME|IMAGE)$`)

// variable reads one environment variable, or one entry of a ConfigMap that is
// named like one.
func (w *walker) variable(name, text, path string, all map[string]string) {
	text = strings.TrimSpace(text)
	rule := ruleImageEnv
	if strings.HasPrefix(name, "RELATED_IMAGE_") {
		rule = ruleRelated
	}
	whole := envParts(name, text, all)
	switch r := read(text); {
	case text == "":
	case whole != "":
		w.found(whole, path, ruleEnvParts, Likely)
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

// envParts puts together what variables of one prefix hold in parts:
// X_REPOSITORY or X_IMAGE with X_TAG.
func envParts(name, text string, all map[string]string) string {
	m := envRepository.FindStringSubmatch(name)
	if m == nil || m[1] == "" || !read(text).named() || read(text).pinned() {
		return ""
	}
	for _, suffix := range []string{"_TAG", "_IMAGE_TAG", "_VERSION"} {
		if tag := all[m[1]+suffix]; tag != "" {
			return imageParts{registry: all[m[1]+"_REGISTRY"], repository: text, tag: tag}.String()
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
