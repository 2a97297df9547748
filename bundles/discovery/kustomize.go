package discovery

import (
	"path"
	"slices"
	"strings"
)

// replacement is what a kustomization.yaml puts in place of an image.
type replacement struct {
	folder string // whose documents it changes, with those of folders below
	name   string // of the image, without tag and digest
}

// kustomization reads the images that a kustomization.yaml puts in place of
// others.
func (w *walker) kustomization(v *value, p place) {
	for i, item := range v.get("images").list() {
		name, newName := item.str("name"), item.str("newName")
		if newName == "" {
			newName = name
		}
		parts := imageParts{repository: newName, tag: item.str("newTag"), digest: item.str("digest")}
		if parts.tag == "" && parts.digest == "" || name == "" {
			continue
		}
		w.found(parts.String(), p.field(v, "images").item(i).path, ruleKustomize, Likely)
		*w.replaced = append(*w.replaced, replacement{folder: path.Dir(w.source), name: name})
	}
}

// replace holds down what kustomizations put others in place of.
func (r *Report) replace(replaced []replacement) {
	r.Found = slices.DeleteFunc(r.Found, func(f Finding) bool {
		gone := f.Rule == ruleContainer && slices.ContainsFunc(replaced, func(by replacement) bool { return by.covers(f) })
		if gone {
			r.Ignored = append(r.Ignored, Ignored{As: f.As, Rule: ruleReplaced, Source: f.Source, Object: f.Object, Path: f.Path})
		}
		return gone
	})
}

func (by replacement) covers(f Finding) bool {
	name, _, _ := strings.Cut(f.As, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return name == by.name && (by.folder == "." || strings.HasPrefix(f.Source, by.folder+"/"))
}
