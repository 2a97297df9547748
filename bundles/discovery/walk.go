package discovery

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules that find.
const (
	ruleContainer   = "container"
	ruleImageVolume = "image-volume"
	ruleImageField  = "image-field"
	ruleDockerImage = "docker-image"
	ruleParts       = "image-parts"
	ruleInherited   = "inherited-parts"
	ruleRelated     = "related-image-variable"
	ruleImageEnv    = "image-variable"
	ruleEnv         = "variable"
	ruleSiblings    = "sibling-parts"
	ruleImageArg    = "image-argument"
	ruleArg         = "argument"
	ruleImageSet    = "image-set"
	ruleConfigKey   = "config-image-key"
	ruleEmbedded    = "embedded-container"
	ruleLine        = "embedded-image-line"
	ruleDefault     = "crd-default"
	ruleKustomize   = "kustomization-image"
	ruleValue       = "image-like-value"
	ruleText        = "image-like-text"
)

// walker goes through one document and reports into report.
type walker struct {
	report *Report
	source string
	object string

	replaced *[]replacement // by kustomizations

	weakest Certainty // what findings are at most; empty: no limit
	rule    string    // reported instead of the rule that found; empty: no other
	muted   string    // a rule that turns findings into ignored; empty: none
	level   int       // of documents within strings of documents
}

// place is where a value stands.
type place struct {
	path string
	key  string // of the field; of the list for its items
	up   *scope
}

// scope is a map around a place, for what parts inherit.
type scope struct {
	v   *value
	key string
	up  *scope
}

func (p place) field(v *value, key string) place {
	path := p.path
	switch {
	case strings.ContainsAny(key, "./ "):
		path += "[" + quote(key) + "]"
	case path == "":
		path = key
	default:
		path += "." + key
	}
	return place{path: path, key: key, up: &scope{v: v, key: p.key, up: p.up}}
}

func (p place) item(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i), key: p.key, up: p.up}
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// found reports an image, if as reads as one; else what holds it down.
func (w *walker) found(as, path, rule string, certainty Certainty) {
	r := read(as)
	switch {
	case r.rule != "":
		w.ignore(as, path, r.rule)
		return
	case w.muted != "":
		w.report.Ignored = append(w.report.Ignored, Ignored{As: as, Rule: w.muted, Source: w.source, Object: w.object, Path: path})
		return
	case w.rule != "":
		rule = w.rule
	}
	if w.weakest != "" && certainty.AtLeast(w.weakest) {
		certainty = w.weakest
	}
	w.report.Found = append(w.report.Found, Finding{Reference: r.full, As: as, Certainty: certainty, Rule: rule,
		Source: w.source, Object: w.object, Path: path})
}

func (w *walker) ignore(as, path, rule string) {
	if as == "" || w.muted != "" {
		return
	}
	w.report.Ignored = append(w.report.Ignored, Ignored{As: as, Rule: rule, Source: w.source, Object: w.object, Path: path})
}

// document reports what one YAML document names: an object, a list of objects
// or something else in YAML.
func (w *walker) document(v *value) { w.objectAt(v, place{}) }

func (w *walker) objectAt(v *value, p place) {
	kind := v.str("kind")
	if items := v.get("items"); strings.HasSuffix(kind, "List") && items != nil && items.kind == yaml.SequenceNode {
		for i, item := range items.items {
			w.objectAt(item, p.field(v, "items").item(i))
		}
		return
	}
	inner := *w
	if kind != "" && w.level == 0 {
		inner.object = objectName(v)
	}
	switch kind {
	case "CustomResourceDefinition":
		inner.definition(v, p)
	case "ConfigMap", "Secret":
		inner.config(v, p)
	case "Kustomization":
		if w.replaced != nil {
			inner.kustomization(v, p)
		}
		inner.visit(v, p)
	default:
		inner.visit(v, p)
	}
}

// objectName is Kind/namespace/name, without a namespace that is not given.
func objectName(v *value) string {
	meta := v.get("metadata")
	parts := []string{v.str("kind")}
	if ns := meta.str("namespace"); ns != "" {
		parts = append(parts, ns)
	}
	name := meta.str("name")
	if name == "" {
		name = meta.str("generateName")
	}
	return strings.Join(append(parts, name), "/")
}

// with returns a walker that differs in what change sets.
func (w *walker) with(change func(*walker)) *walker {
	inner := *w
	change(&inner)
	return &inner
}

// visit goes through a value of any sort.
func (w *walker) visit(v *value, p place) {
	switch v.kind {
	case yaml.MappingNode:
		w.mapping(v, p)
	case yaml.SequenceNode:
		w.list(v, p)
	case yaml.ScalarNode:
		w.scalar(v.text, p)
	}
}

// mapping visits the fields of a map, without those that a rule for the whole
// map has read.
func (w *walker) mapping(v *value, p place) {
	w.chart(v, p)
	done := w.parts(v, p)
	if v.str("kind") == "DockerImage" {
		w.found(v.str("name"), p.path+".name", ruleDockerImage, Likely)
		done = map[string]bool{"name": true}
	}
	texts := plainTexts(v)
	for _, f := range v.fields {
		at := p.field(v, f.key)
		if f.key == "value" && v.str("op") != "" {
			at.key = patched(v.str("path"))
		}
		switch {
		case done[f.key] || skipped(f.key):
		case isImageKey(f.key) && siblingParts(f.key, f.value.text, texts) != "":
			w.found(siblingParts(f.key, f.value.text, texts), at.path, ruleSiblings, Likely)
		case f.key == "status" && p.up == nil:
			w.with(func(i *walker) { i.muted = ruleStatus }).visit(f.value, at)
		case f.key == "kubectl.kubernetes.io/last-applied-configuration":
			w.with(func(i *walker) { i.muted = ruleLastApplied }).visit(f.value, at)
		case f.key == "_example" || f.key == "alm-examples" || f.key == "alm-examples-metadata":
			w.with(func(i *walker) { i.muted = ruleExample }).visit(f.value, at)
		default:
			w.visit(f.value, at)
		}
	}
}

// patched returns the key of the field that a JSON patch changes at a path.
func patched(path string) string {
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if _, err := strconv.Atoi(parts[i]); err != nil && parts[i] != "-" {
			return parts[i]
		}
	}
	return ""
}

// plainTexts returns the scalars of a map by their plain keys.
func plainTexts(v *value) map[string]string {
	out := map[string]string{}
	for _, f := range v.fields {
		if f.value.text != "" {
			out[plain(f.key)] = f.value.text
		}
	}
	return out
}

// skipped tells whether a field never holds an image: labels and selectors
// cannot, managed fields only repeat names of fields.
func skipped(key string) bool {
	switch key {
	case "labels", "matchLabels", "nodeSelector", "managedFields", "imagePullPolicy", "imagePullSecrets", "binaryData", "caBundle":
		return true
	default:
		return false
	}
}

func (w *walker) list(v *value, p place) {
	switch {
	case isEnv(v, p.key):
		w.env(v, p)
		return
	case isArgs(v, p.key):
		w.arguments(v, p)
		return
	}
	for i, item := range v.items {
		at := p.item(i)
		if item.kind == yaml.MappingNode {
			switch {
			case isContainerList(p.key) && item.get("image") != nil:
				w.container(item, at)
				continue
			case p.key == "volumes" && item.get("image").str("reference") != "":
				w.found(item.get("image").str("reference"), at.path+".image.reference", ruleImageVolume, Certain)
				continue
			}
		}
		w.visit(item, at)
	}
}

func isContainerList(key string) bool {
	return key == "containers" || key == "initContainers" || key == "ephemeralContainers"
}

// container reads one container of a pod, in whatever object the pod is.
func (w *walker) container(v *value, p place) {
	rule := ruleContainer
	if w.level > 0 {
		rule = ruleEmbedded
	}
	image := v.str("image")
	if image == "auto" {
		w.ignore(image, p.path+".image", ruleInjected)
	} else {
		w.found(image, p.path+".image", rule, Certain)
	}
	for _, f := range v.fields {
		if f.key != "image" && !skipped(f.key) {
			w.visit(f.value, p.field(v, f.key))
		}
	}
}

// scalar reads a string by its key, or else by its looks.
func (w *walker) scalar(s string, p place) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
	case strings.ContainsAny(s, "\n") || strings.HasPrefix(s, "{") && !strings.HasPrefix(s, "{{") || strings.HasPrefix(s, "["):
		w.text(s, p)
	case isImageKey(p.key) && !strings.Contains(s, " "):
		w.imageField(s, p)
	case strings.ContainsAny(s, " ,;="):
		w.words(s, p.path, ruleText)
	default:
		w.plain(s, p)
	}
}

// imageField reads the value of a field whose name says that it is an image.
func (w *walker) imageField(s string, p place) {
	r := read(s)
	switch {
	case r.named() && !r.pinned() && (w.level > 0 || w.rule == ruleDefault):
		w.found(s, p.path, ruleImageField, Possible) // who reads it may add a tag
	case r.rule != "" || r.named():
		w.found(s, p.path, ruleImageField, Likely)
	case p.key == "image":
		w.found(s, p.path, ruleBareWord, Possible)
	default:
		w.ignore(s, p.path, ruleBareWord)
	}
}

// plain reads a string that stands where any string may.
func (w *walker) plain(s string, p place) {
	repository := strings.HasSuffix(plain(p.key), "repository")
	if !candidate(s) && !repository {
		return
	}
	r := read(s)
	switch {
	case r.telling():
		w.found(s, p.path, ruleValue, Possible)
	case repository && r.host && r.path:
		w.ignore(s, p.path, ruleNoTag)
	case !candidate(s):
	case r.rule == "" && onlyDigits.MatchString(r.tag):
		w.ignore(s, p.path, ruleHostPort)
	case r.rule == ruleTemplate || r.rule == rulePattern || r.rule == ruleAPIVersion:
		w.ignore(s, p.path, r.rule)
	}
}

// imageFlag is a flag within a command line that is one string.
var imageFlag = regexp.MustCompile(`--?[\w-]*image[= ]["']?([^\s"']+)`)

// words reads free text, in which only the value of a flag and what can hardly
// be anything else count.
func (w *walker) words(s, path, rule string) {
	if !strings.ContainsAny(s, ":@") {
		return // nothing with a tag or a digest
	}
	for _, m := range imageFlag.FindAllStringSubmatch(s, -1) {
		if r := read(m[1]); r.pinned() && r.named() {
			w.found(m[1], path, ruleImageArg, Likely)
			s = strings.ReplaceAll(s, m[1], "")
		}
	}
	for _, t := range tokens(s) {
		if !candidate(t) {
			continue
		}
		if r := read(t); r.host && r.telling() {
			w.found(t, path, rule, Possible)
		}
	}
}
