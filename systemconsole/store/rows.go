package store

import (
	"slices"
	"strconv"
	"strings"
)

// rows are items in the order of their names: all, and those of each owner.
type rows[T any] struct {
	all   []*Item[T]
	owned map[string][]*Item[T]
}

// put keeps an item unless a newer one is known.
func (r *rows[T]) put(item *Item[T]) {
	i, found := find(r.all, item.Name)
	if found && number(item.Version) <= number(r.all[i].Version) {
		return
	}
	if found {
		r.drop(i)
	}
	r.all = slices.Insert(r.all, i, item)
	if item.Owner == "" {
		return
	}
	if r.owned == nil {
		r.owned = map[string][]*Item[T]{}
	}
	of := r.owned[item.Owner]
	j, _ := find(of, item.Name) // it was dropped
	r.owned[item.Owner] = slices.Insert(of, j, item)
}

// remove takes an item away, unless it was made again after the version.
func (r *rows[T]) remove(name, version string) {
	if i, found := find(r.all, name); found && number(r.all[i].Version) <= number(version) {
		r.drop(i)
	}
}

// drop takes one out of both orders.
func (r *rows[T]) drop(i int) {
	item := r.all[i]
	r.all = slices.Delete(r.all, i, i+1)
	of := r.owned[item.Owner]
	j, found := find(of, item.Name)
	if !found {
		return
	}
	if of = slices.Delete(of, j, j+1); len(of) == 0 {
		delete(r.owned, item.Owner)
		return
	}
	r.owned[item.Owner] = of
}

// find returns where an item is, or belongs.
func find[T any](items []*Item[T], name string) (int, bool) {
	return slices.BinarySearchFunc(items, name, func(item *Item[T], name string) int { return strings.Compare(item.Name, name) })
}

// number orders versions: every store counts its changes.
func number(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64) // what is no number is the oldest
	return n
}
