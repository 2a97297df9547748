package discovery

import "strings"

// The names that operators and charts give to the parts of an image, the most
// telling first.
func registryKeys() []string   { return []string{"registry", "imageRegistry", "hub", "base"} }
func repositoryKeys() []string { return []string{"repository", "imageRepository", "repo"} }
func tagKeys() []string        { return []string{"tag", "imageTag"} }
func versionKeys() []string    { return []string{"version", "imageVersion"} }
func digestKeys() []string     { return []string{"digest", "imageDigest", "sha256", "sha"} }

// nameKeys names the image itself. A mere name is one where the map around it
// says so.
func nameKeys(below string) []string {
	if isImageKey(below) {
		return []string{"image", "imageName", "name"}
	}
	return []string{"image", "imageName"}
}

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
	if key, name := first(v, nameKeys(p.key)); key != "" {
		return w.namedParts(v, p, key, name)
	}
	repoKey, repository := first(v, repositoryKeys())
	if repoKey == "" || strings.Contains(repository, " ") {
		return nil
	}
	parts := imageParts{repository: repository}
	var tagKey, registryKey, digestKey string
	tagKey, parts.tag = first(v, tagKeys())
	registryKey, parts.registry = first(v, registryKeys())
	digestKey, parts.digest = first(v, digestKeys())
	if tagKey == "" && isImageKey(p.key) {
		tagKey, parts.tag = first(v, versionKeys())
	}
	if tagKey == "" && digestKey == "" {
		if !isImageKey(p.key) {
			return nil
		}
		w.ignore(parts.String(), p.path, ruleNoTag)
		return map[string]bool{repoKey: true, registryKey: true}
	}
	if r := read(parts.String()); r.bare {
		w.ignore(parts.String(), p.path, ruleHostPort)
		return nil
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
	tagKey, tag := first(v, append(tagKeys(), versionKeys()...))
	digestKey, digest := first(v, digestKeys())
	registryKey, registry := first(v, append(registryKeys(), repositoryKeys()...))
	if tagKey == "" && digestKey == "" {
		tag, rule = inherited(&scope{v: v, up: p.up}, tagKeys()), ruleInherited
	}
	if registry == "" && !read(name).host {
		registry = inherited(&scope{v: v, up: p.up}, registryKeys())
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
