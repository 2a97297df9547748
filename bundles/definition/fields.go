package definition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
)

// decode reads one YAML document into the structure that into points at and
// then has validate look at it. The error names every problem of both: fields
// that do not exist, values of the wrong type, and what validate finds.
func decode(data []byte, into any, validate func() []string) error {
	if err := oneDocument(data); err != nil {
		return err
	}
	converted, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return unreadable(err)
	}
	dec := json.NewDecoder(bytes.NewReader(converted))
	dec.UseNumber()
	var document any
	if err := dec.Decode(&document); err != nil {
		return unreadable(err)
	}
	var s shape
	fitting := s.fit("", document, reflect.TypeOf(into).Elem())
	clean, err := json.Marshal(fitting)
	if err == nil {
		err = json.Unmarshal(clean, into)
	}
	if err != nil {
		return unreadable(err)
	}
	found := slices.DeleteFunc(validate(), s.told)
	return invalid(append(s.problems, found...))
}

func unreadable(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return problem.New(problem.Usage, "", "%w: %s", ErrInvalid, strings.TrimPrefix(text, "unmarshal errors:\n  "))
}

// maxProblems is how many problems are told one by one.
const maxProblems = 100

// invalid returns the error that names these problems; nil for none.
func invalid(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return problem.New(problem.Usage, "", "%w:\n  %s", ErrInvalid, strings.Join(problems, "\n  "))
}

// oneDocument refuses what a YAML reader would pass over in silence: further
// documents in the same file.
func oneDocument(data []byte) error {
	if !utf8.Valid(data) {
		return problem.New(problem.Usage, "", "%w: it is not UTF-8 text", ErrInvalid)
	}
	documents, open := 0, false
	for _, line := range strings.FieldsFunc(string(data), isBreak) {
		marker := line == "---" || line == "..." || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "---\t") || strings.HasPrefix(line, "... ")
		if marker {
			open = false
			line = line[len("---"):]
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || line[0] == '#' || (line[0] == '%' && !open) {
			continue
		}
		if !open {
			documents++
		}
		open = true
	}
	if documents > 1 {
		return problem.New(problem.Usage, "make a file of each", "%w: it holds %d YAML documents, not one", ErrInvalid, documents)
	}
	return nil
}

// isBreak tells whether r ends a line in YAML 1.1.
func isBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

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

// shortForm is what may be written as one string instead of a mapping.
type shortForm interface {
	// shortField names the field that the string stands for.
	shortField() string
}

// shortField returns the field that a string stands for where t is asked, or "".
func shortField(t reflect.Type) string {
	if short, ok := reflect.Zero(t).Interface().(shortForm); ok {
		return short.shortField()
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
		if _, err := v.Int64(); err == nil && t.Kind() == reflect.Int64 {
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
	want := map[reflect.Kind]string{reflect.Struct: "a mapping", reflect.Slice: "a list", reflect.String: "a string", reflect.Int64: "a whole number"}[t.Kind()]
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
		if d := distance(strings.ToLower(key), strings.ToLower(name)); d < least && d < len(name) {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("%s: has no field %q; did you mean %s?", where, key, best)
	}
	return fmt.Sprintf("%s: has no field %q; its fields are %s", where, key, strings.Join(names, ", "))
}

// distance returns how many letters have to be put in, taken out or changed
// to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
