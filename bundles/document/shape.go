package document

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sealift/sealift/internal/spelling"
)

// shape compares a document with the Go type that it is to be read into.
type shape struct {
	problems []string
	broken   []string // paths whose value was taken out
}

// told tells whether a problem that validate found speaks of a value that was
// taken out, so that it is known already.
func (s *shape) told(found string) bool {
	return slices.ContainsFunc(s.broken, func(path string) bool {
		rest, ok := strings.CutPrefix(found, path)
		whole := path[:strings.LastIndexAny(path, ".[")+1] // of which the value is a part
		return (ok && rest != "" && strings.Contains(":.[", rest[:1])) || (strings.HasSuffix(whole, "].") && strings.HasPrefix(found, whole[:len(whole)-1]+":"))
	})
}

// ShortForm is what may be written as one string instead of a mapping.
type ShortForm interface {
	// ShortField names the field that the string stands for.
	ShortField() string
}

// shortField returns the field that a string stands for where t is asked, or "".
func shortField(t reflect.Type) string {
	if short, ok := reflect.Zero(t).Interface().(ShortForm); ok {
		return short.ShortField()
	}
	return ""
}

// fit returns value without what t has no place for, and notes that.
func (s *shape) fit(path string, value any, t reflect.Type) any {
	if field := shortField(t); field != "" {
		if text, short := value.(string); short {
			return map[string]any{field: text}
		}
	}
	switch v := value.(type) {
	case map[string]any:
		if t.Kind() == reflect.Struct {
			return s.fields(path, v, t)
		}
	case []any:
		if t.Kind() == reflect.Slice {
			return s.items(path, v, t)
		}
	case string:
		if t.Kind() == reflect.String {
			return v
		}
	case json.Number:
		if _, err := v.Int64(); err == nil && (t.Kind() == reflect.Int64 || t.Kind() == reflect.Int) {
			return v
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return v
		}
	}
	s.broken = append(s.broken, path)
	s.problems = append(s.problems, mistyped(path, value, t))
	return nil
}

func (s *shape) fields(path string, value map[string]any, t reflect.Type) any {
	types := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() {
			types[name] = f.Type
			names = append(names, name)
		}
	}
	out := map[string]any{}
	for _, key := range sortedKeys(value) {
		below := key
		if path != "" {
			below = path + "." + key
		}
		switch field, known := types[key]; {
		case !known:
			s.problems = append(s.problems, unknown(path, key, names))
		case value[key] != nil: // an empty field is the same as none
			if v := s.fit(below, value[key], field); v != nil {
				out[key] = v
			}
		}
	}
	return out
}

func (s *shape) items(path string, value []any, t reflect.Type) any {
	out := make([]any, len(value)) // what does not fit stays as null: the others keep their places
	for i, v := range value {
		out[i] = s.fit(fmt.Sprintf("%s[%d]", path, i), v, t.Elem())
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func mistyped(path string, value any, t reflect.Type) string {
	want := map[reflect.Kind]string{reflect.Struct: "a mapping", reflect.Slice: "a list", reflect.String: "a string", reflect.Int64: "a whole number", reflect.Int: "a whole number", reflect.Bool: "true or false"}[t.Kind()]
	if field := shortField(t); field != "" {
		want = "a string or a mapping with " + field
	}
	is := "empty"
	switch value.(type) {
	case map[string]any:
		is = "a mapping"
	case []any:
		is = "a list"
	case string:
		is = "a string"
	case json.Number:
		is = "a number"
	case bool:
		is = "true or false"
	}
	text := fmt.Sprintf("is %s, not %s", is, want)
	if t.Kind() == reflect.String && (is == "a number" || is == "true or false") {
		text += ": write it in quotes"
	}
	if path == "" {
		return "the file " + text
	}
	return path + ": " + text
}

// unknown says that there is no such field, and which may have been meant.
func unknown(path, key string, names []string) string {
	if len(key) > 64 {
		key = strings.ToValidUTF8(key[:64], "") + "..."
	}
	where := "the file"
	if path != "" {
		where = path
	}
	best, least := "", 3
	for _, name := range names {
		if d := spelling.Distance(strings.ToLower(key), strings.ToLower(name)); d < least && d < len(name) {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("%s: has no field %q; did you mean %s?", where, key, best)
	}
	return fmt.Sprintf("%s: has no field %q; its fields are %s", where, key, strings.Join(names, ", "))
}
