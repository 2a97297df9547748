package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Outcome says what becomes of a setting.
type Outcome string

// The outcomes.
const (
	Kept     Outcome = "kept"     // only the administrator changed it
	Taken    Outcome = "taken"    // only the release changed it
	Agreed   Outcome = "agreed"   // both changed it to the same
	Conflict Outcome = "conflict" // both changed it, each to another value
)

// Setting is one value that is not the same in all three states. Values are
// JSON texts; "" means that it is not set.
type Setting struct {
	Path    string  `json:"path"` // a JSON pointer (RFC 6901)
	Before  string  `json:"before,omitempty"`
	Live    string  `json:"live,omitempty"`
	After   string  `json:"after,omitempty"`
	Outcome Outcome `json:"outcome"`
}

// Side is the value that is taken where two are in conflict.
type Side string

// The sides of a conflict.
const (
	Live  Side = "live"  // what the administrator set
	After Side = "after" // what the new release has
)

// Choices are the sides that were chosen, by the setting's path.
type Choices map[string]Side

// ErrUndecided means: a conflict is left for which nobody chose a side.
var ErrUndecided = errors.New("a choice is missing")

// Compare returns every setting that differs, in the order of the paths. Maps
// are compared key by key, all else as a whole.
func Compare(before, live, after map[string]any) ([]Setting, error) {
	var out []Setting
	err := walk("", [3]any{before, live, after}, func(s Setting) { out = append(out, s) })
	return out, err
}

// absent is a value that is not set.
type absent struct{}

func walk(path string, values [3]any, found func(Setting)) error {
	if maps, ok := allMaps(values); ok {
		for _, key := range keys(maps) {
			var below [3]any
			for i, m := range maps {
				below[i] = absent{}
				if v, ok := m[key]; ok {
					below[i] = v
				}
			}
			if err := walk(path+"/"+escape(key), below, found); err != nil {
				return err
			}
		}
		return nil
	}
	s := Setting{Path: path}
	for i, to := range []*string{&s.Before, &s.Live, &s.After} {
		var err error
		if *to, err = text(values[i]); err != nil {
			return fmt.Errorf("value %s: %w", path, err)
		}
	}
	if s.Before != s.Live || s.Live != s.After {
		s.Outcome = outcome(s)
		found(s)
	}
	return nil
}

func outcome(s Setting) Outcome {
	switch {
	case s.Live == s.After:
		return Agreed
	case s.Before == s.Live:
		return Taken
	case s.Before == s.After:
		return Kept
	default:
		return Conflict
	}
}

// allMaps returns the values as maps when each is one, or is not set; ok is
// false when all that is set is no map, or one map is empty where another value
// stands.
func allMaps(values [3]any) (out [3]map[string]any, ok bool) {
	for i, v := range values {
		switch v := v.(type) {
		case map[string]any:
			out[i], ok = v, true
		case absent:
		default:
			return out, false
		}
	}
	return out, ok && len(out[0])+len(out[1])+len(out[2]) > 0
}

func keys(all [3]map[string]any) []string {
	seen := map[string]bool{}
	for _, m := range all {
		for key := range m {
			seen[key] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// text is the JSON of a value, in which numbers of every type look the same.
func text(v any) (string, error) {
	if _, none := v.(absent); none {
		return "", nil
	}
	data, err := json.Marshal(v)
	return string(data), err
}

// Merge returns after with what the administrator changed: what is kept, and of
// each conflict the side that was chosen. It fails with ErrUndecided and names
// every conflict without a choice.
func Merge(before, live, after map[string]any, choices Choices) (map[string]any, error) {
	settings, err := Compare(before, live, after)
	if err != nil {
		return nil, err
	}
	if left := Undecided(settings, choices); len(left) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrUndecided, strings.Join(left, ", "))
	}
	out, err := clone(after)
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		if s.Outcome != Kept && (s.Outcome != Conflict || choices[s.Path] != Live) {
			continue
		}
		if err := set(out, s.Path, s.Live); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Undecided returns the paths of the conflicts for which no side was chosen.
func Undecided(settings []Setting, choices Choices) []string {
	var out []string
	for _, s := range settings {
		if side := choices[s.Path]; s.Outcome == Conflict && side != Live && side != After {
			out = append(out, s.Path)
		}
	}
	return out
}

// Overrides returns what of values is not as in defaults: what has to be said
// beside the defaults to get the values. A default that values lack is null,
// by which Helm removes it.
func Overrides(defaults, values map[string]any) (map[string]any, error) {
	settings, err := Compare(defaults, values, defaults)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, s := range settings {
		live := s.Live
		if live == "" {
			live = "null"
		}
		if err := set(out, s.Path, live); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// set puts the value of a JSON text at a path; "" removes what is there.
func set(values map[string]any, path, value string) error {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, part := range parts[:len(parts)-1] {
		below, ok := values[unescape(part)].(map[string]any)
		if !ok {
			below = map[string]any{}
			values[unescape(part)] = below
		}
		values = below
	}
	last := unescape(parts[len(parts)-1])
	if value == "" {
		delete(values, last)
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		return fmt.Errorf("value of %s: %w", path, err)
	}
	values[last] = v
	return nil
}

func clone(values map[string]any) (map[string]any, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(data, &out)
}

// escape and unescape write a key as a part of a JSON pointer.
func escape(key string) string    { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
func unescape(part string) string { return strings.NewReplacer("~1", "/", "~0", "~").Replace(part) }
