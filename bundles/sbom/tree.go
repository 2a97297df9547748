package sbom

import (
	"cmp"
	"io"
	"path"
	"slices"
	"strings"
)

// tree is the file system of an image: its layers, one above the other.
type tree struct {
	root  *node
	paths []string // of all that is no folder, sorted; made by finish
}

// node is one name in a tree.
type node struct {
	children map[string]*node // of a folder; nil for all else
	link     string           // target of a symbolic link, or nothing
	layer    int              // that it came with
	mime     string           // of a program; nothing for all else
	size     int64            // bytes
	content  io.ReaderAt      // where its content begins at offset; nil when it was not kept
	offset   int64
}

func newTree() *tree { return &tree{root: &node{children: map[string]*node{}}} }

// put lays a layer above what is there.
func (t *tree) put(l *layer, number int) {
	for _, e := range l.entries {
		n := e.node
		n.layer = number
		switch e.kind {
		case entryGone:
			t.remove(e.path, number)
		case entryEmptied:
			t.empty(e.path, number)
		case entrySame:
			if target := t.at(split(e.node.link)); target != nil && target.children == nil {
				n = *target
				n.layer = number
				t.add(e.path, &n)
			}
		case entryFolder:
			n.children = map[string]*node{}
			t.add(e.path, &n)
		default:
			t.add(e.path, &n)
		}
	}
}

// split returns the elements of a path. Whatever is written in a layer, the
// result stays below the root.
func split(p string) []string {
	p = strings.Trim(path.Clean("/"+p), "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

// add puts n at a path, with the folders above it.
func (t *tree) add(p string, n *node) {
	elements := split(p)
	if len(elements) == 0 {
		return
	}
	dir := t.root
	for _, e := range elements[:len(elements)-1] {
		below := dir.children[e]
		if below == nil || below.children == nil {
			below = &node{children: map[string]*node{}, layer: n.layer}
			dir.children[e] = below
		}
		dir = below
	}
	base := elements[len(elements)-1]
	if have := dir.children[base]; have != nil && have.children != nil && n.children != nil {
		have.layer = n.layer // a folder that is there already keeps what is in it
		return
	}
	dir.children[base] = n
}

// remove takes away what layers below this one have put at a path.
func (t *tree) remove(p string, layer int) {
	elements := split(p)
	if len(elements) == 0 {
		return
	}
	dir := t.at(elements[:len(elements)-1])
	if dir == nil {
		return
	}
	base := elements[len(elements)-1]
	if n := dir.children[base]; n != nil && n.prune(layer) {
		delete(dir.children, base)
	}
}

// empty takes away what layers below this one have put into a folder.
func (t *tree) empty(p string, layer int) {
	if dir := t.at(split(p)); dir != nil {
		for name, n := range dir.children {
			if n.prune(layer) {
				delete(dir.children, name)
			}
		}
	}
}

// prune removes everything older than layer and tells whether nothing is left.
func (n *node) prune(layer int) bool {
	for name, c := range n.children {
		if c.prune(layer) {
			delete(n.children, name)
		}
	}
	return n.layer < layer && len(n.children) == 0
}

// at returns the node of a path without following links, or nil.
func (t *tree) at(elements []string) *node {
	n := t.root
	for _, e := range elements {
		if n = n.children[e]; n == nil {
			return nil
		}
	}
	return n
}

// maxHops is how many symbolic links one path may lead through, as in Linux.
const maxHops = 40

// find follows symbolic links and returns the node of a path and its real
// path, or nil.
func (t *tree) find(p string) (*node, string) {
	todo, done, n, hops := split(p), []string{}, t.root, 0
	for len(todo) > 0 {
		e := todo[0]
		todo = todo[1:]
		below := n.children[e]
		switch {
		case below == nil:
			return nil, ""
		case below.link == "":
			n, done = below, append(done, e)
		case hops == maxHops || len(below.link) > maxPath:
			return nil, ""
		default:
			hops++
			target := below.link
			if !path.IsAbs(target) {
				target = "/" + strings.Join(done, "/") + "/" + target
			}
			todo = append(split(target), todo...)
			n, done = t.root, done[:0:0]
		}
	}
	return n, "/" + strings.Join(done, "/")
}

// finish lists the paths once all layers are in.
func (t *tree) finish() {
	var walk func(string, *node)
	walk = func(p string, n *node) {
		if n.children == nil {
			t.paths = append(t.paths, p)
		}
		for name, c := range n.children {
			walk(path.Join(p, name), c)
		}
	}
	walk("", t.root)
	slices.SortFunc(t.paths, cmp.Compare[string])
}
