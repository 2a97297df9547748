package document

import (
	"reflect"
	"strings"
)

// SchemaOf returns the JSON schema (draft 7) of a type that Decode reads; every
// field may also be left empty. A field's tag enum:"a,b" lists its values.
func SchemaOf(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() {
				properties[name] = orEmpty(withValues(SchemaOf(f.Type), f.Tag.Get("enum")))
			}
		}
		object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
		if field := shortField(t); field != "" {
			return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, object}}
		}
		return object
	case reflect.Slice:
		return map[string]any{"type": "array", "items": SchemaOf(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	default:
		return map[string]any{"type": "string"}
	}
}

// orEmpty lets a field be empty, which is the same as none.
func orEmpty(schema map[string]any) map[string]any {
	if kind, ok := schema["type"].(string); ok {
		schema["type"] = []string{kind, "null"}
	}
	if values, ok := schema["enum"].([]any); ok {
		schema["enum"] = append(values, "", nil)
	}
	return schema
}

func withValues(schema map[string]any, list string) map[string]any {
	if list == "" {
		return schema
	}
	var values []any
	for v := range strings.SplitSeq(list, ",") {
		values = append(values, v)
	}
	schema["enum"] = values
	return schema
}
