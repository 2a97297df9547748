package packs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/sealift/sealift/internal/problem"
)

// Meta is what pack.json says.
type Meta struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName"`
	Version     string   `json:"version"`
	Layer       string   `json:"layer"` // kernel, os, k8s, cni, csi or addon
	AddonType   string   `json:"addonType"`
	CloudTypes  []string `json:"cloudTypes"`
	// Charts and KubeManifests are paths in the pack of what is deployed.
	Charts        []string          `json:"charts"`
	KubeManifests []string          `json:"kubeManifests"`
	Annotations   map[string]string `json:"annotations"`
	Constraints   Constraints       `json:"constraints"`
	Group         string            `json:"group"`
	EOL           string            `json:"eol"` // the day its maintenance ends: 2028-04-30

	// Unknown are the fields that this package has no name for, by path, such
	// as commit_msg or constraints.dependencies[0].note. Each is JSON.
	Unknown map[string]json.RawMessage `json:"-"`
}

// Constraints are what a pack asks of others and of machines.
type Constraints struct {
	Dependencies []Dependency `json:"dependencies"`
	Resources    []Resource   `json:"resources"`
}

// Dependency is a constraint on another pack.
type Dependency struct {
	PackName string `json:"packName"`
	Layer    string `json:"layer"`
	// MinVersion and MaxVersion are both included; "" is no limit. A maximum
	// with fewer than three numbers takes all versions that begin so.
	MinVersion string `json:"minVersion"`
	MaxVersion string `json:"maxVersion"`
	Type       string `json:"type"` // one of the dependency types below
}

// The types of a dependency.
const (
	DependencyRequired     = "required"     // must be there, within the range
	DependencyOptional     = "optional"     // if it is there, within the range
	DependencyNotSupported = "notSupported" // must not be there within the range
	DependencyUpgrade      = "upgrade"      // if it is installed, only a version within the range may be upgraded
)

// Resource is what a pack needs at least of the machines it runs on.
type Resource struct {
	Type       string      `json:"type"`     // cpu (thousandths of a core), memory (MiB) or diskSize (GB)
	MinLimit   float64     `json:"minLimit"` // ignored when there are components
	Components []Component `json:"components"`
}

// Component is a part of a pack whose needs stand in its values.
type Component struct {
	ScheduleType            string `json:"scheduleType"`
	ResourceRequestParamRef string `json:"resourceRequestParamRef"`
	ReplicaCountParamRef    string `json:"replicaCountParamRef"`
}

// readMeta reads pack.json. Only what is no JSON object is an error; what does
// not fit the fields is a problem.
func (p *Pack) readMeta(data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var fields map[string]any
	err := dec.Decode(&fields)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after its end")
		}
	}
	if err == nil && fields == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		at := dec.InputOffset()
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = syntax.Offset
		}
		line := 1 + bytes.Count(data[:min(at, int64(len(data)))], []byte("\n"))
		return problem.New(problem.Failed, "mend the JSON", "pack.json, near line %d: %w: %w", line, ErrInvalid, err)
	}
	r := metaReader{pack: p}
	p.Meta.Unknown = map[string]json.RawMessage{}
	r.fit("", fields, reflect.ValueOf(&p.Meta).Elem())
	return nil
}

// metaReader puts JSON values into Go ones as far as they fit, and notes the rest.
type metaReader struct{ pack *Pack }

func (r metaReader) fit(path string, value any, into reflect.Value) {
	switch v := value.(type) {
	case nil: // an empty field is the same as none
		return
	case map[string]any:
		if into.Kind() == reflect.Struct {
			r.fields(path, v, into)
			return
		}
		if into.Kind() == reflect.Map {
			r.annotations(path, v, into)
			return
		}
	case []any:
		if into.Kind() == reflect.Slice {
			items := reflect.MakeSlice(into.Type(), len(v), len(v))
			for i, item := range v {
				r.fit(fmt.Sprintf("%s[%d]", path, i), item, items.Index(i))
			}
			into.Set(items)
			return
		}
	case string:
		if into.Kind() == reflect.String {
			into.SetString(v)
			return
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && into.Kind() == reflect.Float64 {
			into.SetFloat(f)
			return
		}
	}
	r.pack.found(SeverityError, metaFile+": "+path, "is %s, not %s", jsonKind(value), goKind(into.Kind()))
}

func (r metaReader) fields(path string, value map[string]any, into reflect.Value) {
	for _, key := range sortedKeys(value) {
		below := key
		if path != "" {
			below = path + "." + key
		}
		name, field := fieldNamed(into, key)
		switch {
		case !field.IsValid():
			raw, err := json.Marshal(value[key])
			if err != nil { // it was JSON a moment ago
				raw = []byte("null")
			}
			r.pack.Meta.Unknown[below] = raw
			r.pack.found(SeverityWarning, metaFile+": "+below, "is not a field of the format; it is kept as it is")
			continue
		case name != key:
			r.pack.found(SeverityWarning, metaFile+": "+below, "is written %s", name)
		}
		r.fit(below, value[key], field)
	}
}

// fieldNamed finds the field of a JSON name. Readers in the field ignore the
// case of letters, and so must this one.
func fieldNamed(into reflect.Value, key string) (string, reflect.Value) {
	for i := range into.NumField() {
		name := into.Type().Field(i).Tag.Get("json")
		if name != "-" && strings.EqualFold(name, key) {
			return name, into.Field(i)
		}
	}
	return "", reflect.Value{}
}

// annotations reads a mapping of text to text; other values become their JSON.
func (r metaReader) annotations(path string, value map[string]any, into reflect.Value) {
	out := map[string]string{}
	for _, key := range sortedKeys(value) {
		text, ok := value[key].(string)
		if !ok {
			raw, err := json.Marshal(value[key])
			if err != nil { // it was JSON a moment ago
				raw = nil
			}
			text = string(raw)
			r.pack.found(SeverityWarning, metaFile+": "+path+"."+key, "is %s, not a string; it is read as its text", jsonKind(value[key]))
		}
		out[key] = text
	}
	into.Set(reflect.ValueOf(out))
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func jsonKind(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case nil:
		return "null"
	default:
		return "a number"
	}
}

func goKind(kind reflect.Kind) string {
	switch kind {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Float64:
		return "a number"
	default:
		return "a string"
	}
}
