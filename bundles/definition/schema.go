package definition

import (
	"encoding/json"
	"reflect"
	"strings"
)

// SchemaID identifies the JSON schema of a definition.
const SchemaID = "https://sealift.dev/schemas/bundle.v1.json"

// Schema returns the JSON schema (draft 7) of a definition, for editors. What
// it accepts Parse may still refuse, for it knows less; what it refuses Parse
// refuses too.
func Schema() ([]byte, error) {
	schema := schemaOf(reflect.TypeFor[Bundle]())
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["$id"] = SchemaID
	schema["title"] = "What a sealift bundle carries"
	schema["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
	top, _ := schema["properties"].(map[string]any)
	top["apiVersion"] = map[string]any{"const": APIVersion}
	top["kind"] = map[string]any{"const": KindBundle}
	out, err := json.MarshalIndent(schema, "", "  ")
	return append(out, '\n'), err
}

// schemaOf describes a type; every field may also be left empty.
func schemaOf(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() {
				properties[name] = orEmpty(schemaOf(f.Type))
			}
		}
		object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
		if field := shortField(t); field != "" {
			return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, object}}
		}
		return object
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	default:
		return map[string]any{"type": "string"}
	}
}

// orEmpty lets a field be empty, which is the same as none.
func orEmpty(schema map[string]any) map[string]any {
	if kind, ok := schema["type"].(string); ok {
		schema["type"] = []string{kind, "null"}
	}
	return schema
}
