// Package schema describes Go types as JSON schemas: the one part of JSON
// Schema that custom resources and OpenAPI documents both take.
package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Schema is a JSON schema. Fields that are empty are left out.
type Schema struct {
	Type                 string             `json:"type,omitempty"`
	Format               string             `json:"format,omitempty"`
	Nullable             bool               `json:"nullable,omitempty"`
	Properties           map[string]*Schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Items                *Schema            `json:"items,omitempty"`
	AdditionalProperties *Schema            `json:"additionalProperties,omitempty"`
	AnyValue             bool               `json:"x-kubernetes-preserve-unknown-fields,omitempty"`
}

// Of describes the type of v as encoding/json writes it. It panics for a type
// that has no schema, such as one that holds itself: a mistake of the program.
func Of(v any) *Schema { return of(reflect.TypeOf(v), 0) }

// depth is more than any type of the console goes down.
const depth = 12

func of(t reflect.Type, level int) *Schema {
	if level > depth {
		panic(fmt.Sprintf("type %s goes too deep for a schema", t))
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return &Schema{AnyValue: true}
	case reflect.TypeFor[[]byte]():
		return &Schema{Type: "string", Format: "byte"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Uint8, reflect.Int32, reflect.Uint:
		return &Schema{Type: "integer", Format: "int64"}
	case reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Pointer:
		return of(t.Elem(), level+1)
	case reflect.Slice:
		return &Schema{Type: "array", Items: of(t.Elem(), level+1)}
	case reflect.Map:
		return &Schema{Type: "object", AdditionalProperties: of(t.Elem(), level+1)}
	case reflect.Struct:
		s := &Schema{Type: "object", Properties: map[string]*Schema{}}
		s.addFields(t, level)
		return s
	default:
		panic(fmt.Sprintf("type %s has no schema", t))
	}
}

func (s *Schema) addFields(t reflect.Type, level int) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			s.addFields(f.Type, level+1)
			continue
		case name == "":
			name = f.Name
		}
		p := of(f.Type, level+1)
		if !strings.Contains(options, "omit") {
			s.Required = append(s.Required, name)
			// encoding/json writes null for a slice or a map that is nil.
			p.Nullable = f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map
		}
		s.Properties[name] = p
	}
}
