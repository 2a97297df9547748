package site

import (
	"encoding/json"
	"reflect"

	"github.com/sealift/sealift/bundles/document"
)

// SchemaID identifies the JSON schema of a site.
const SchemaID = "https://sealift.dev/schemas/site.v1.json"

// Schema returns the JSON schema (draft 7) of a site, for editors. What it
// accepts Parse may still refuse, for it knows less; what it refuses Parse
// refuses too.
func Schema() ([]byte, error) {
	schema := document.SchemaOf(reflect.TypeFor[Site]())
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["$id"] = SchemaID
	schema["title"] = "A dark site that sealift installs a management cluster in"
	schema["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
	top, _ := schema["properties"].(map[string]any)
	top["apiVersion"] = map[string]any{"const": APIVersion}
	top["kind"] = map[string]any{"const": Kind}
	out, err := json.MarshalIndent(schema, "", "  ")
	return append(out, '\n'), err
}
