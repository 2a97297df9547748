package definition

import (
	"encoding/json"
	"reflect"

	"github.com/sealift/sealift/bundles/document"
)

// SchemaID identifies the JSON schema of a definition.
const SchemaID = "https://sealift.dev/schemas/bundle.v1.json"

// Schema returns the JSON schema (draft 7) of a definition, for editors. What
// it accepts Parse may still refuse, for it knows less; what it refuses Parse
// refuses too.
func Schema() ([]byte, error) {
	schema := document.SchemaOf(reflect.TypeFor[Bundle]())
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
