package systemconsole

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/systemconsole/schema"
)

// object is a part of a JSON document.
type object = map[string]any

// openAPI serves the API's document, which is made of the routes table.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	doc, err := s.document()
	if err != nil {
		return err
	}
	return writeJSON(w, doc)
}

// document is the OpenAPI 3.1 document of the routes that have an operation.
func (s *Server) document() (object, error) {
	failure, err := jsonSchema(Failure{})
	if err != nil {
		return nil, err
	}
	paths := object{}
	for _, r := range s.routes() {
		if r.op == nil {
			continue
		}
		method, path := splitPattern(r.pattern)
		described, err := describe(r, path)
		if err != nil {
			return nil, fmt.Errorf("describing %s: %w", r.pattern, err)
		}
		item, ok := paths[path].(object)
		if !ok {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = described
	}
	version := buildinfo.Version()
	if version == "" {
		version = "devel"
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "sealift system console", "version": version},
		"paths":   paths,
		"components": object{
			"schemas":         object{"Failure": failure},
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"responses":       object{"Failure": content("What went wrong", "application/json", object{"$ref": "#/components/schemas/Failure"})},
		},
	}, nil
}

// splitPattern takes "GET /path/{x}" apart.
func splitPattern(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, path
}

// describe describes one operation.
func describe(r route, path string) (object, error) {
	out := object{"summary": r.op.summary, "parameters": parameters(r.op, path), "operationId": operationID(r.pattern)}
	if r.access.token {
		out["security"] = []object{{"token": []string{}}}
		out["description"] = "Needs the permission " + string(r.access.needs) + "."
	}
	body, err := describeBody(r.op)
	if err != nil {
		return nil, err
	}
	if body != nil {
		out["requestBody"] = body
	}
	answer, status, err := describeAnswer(r.op)
	if err != nil {
		return nil, err
	}
	out["responses"] = object{status: answer, "default": object{"$ref": "#/components/responses/Failure"}}
	return out, nil
}

// describeBody describes what is sent; nil is nothing.
func describeBody(op *operation) (object, error) {
	if op.sent != "" {
		return object{"required": true, "content": object{op.sent: object{"schema": object{"type": "string", "format": "binary"}}}}, nil
	}
	if _, none := op.in.(nothing); none {
		return nil, nil //nolint:nilnil // nothing is sent
	}
	in, err := jsonSchema(op.in)
	return object{"required": true, "content": object{"application/json": object{"schema": in}}}, err
}

func describeAnswer(op *operation) (answer object, status string, err error) {
	if _, none := op.out.(nothing); none {
		headers := object{}
		for _, h := range op.answers {
			headers[h.name] = object{"description": h.text, "schema": object{"type": h.kind}}
		}
		return object{"description": "Done", "headers": headers}, strconv.Itoa(cmp.Or(op.status, http.StatusNoContent)), nil
	}
	kind, s := op.content, object{"type": "string"}
	switch kind {
	case "application/json":
		s = object{"type": "object"}
	case "":
		kind = "application/json"
		if s, err = jsonSchema(op.out); err != nil {
			return nil, "", err
		}
	}
	return content("Done", kind, s), "200", nil
}

func content(text, kind string, s object) object {
	return object{"description": text, "content": object{kind: object{"schema": s}}}
}

// operationID is a name for generated clients: "GET /api/v1/tenants/{name}"
// becomes get_tenants_name.
func operationID(pattern string) string {
	id := strings.ToLower(strings.Replace(pattern, apiPrefix, "", 1))
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(id, "_"), "_")
}

func parameters(op *operation, path string) []object {
	out := []object{}
	for _, m := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
		out = append(out, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range op.query {
		out = append(out, object{"name": p.name, "in": "query", "description": p.text, "schema": object{"type": p.kind}})
	}
	for _, p := range op.headers {
		out = append(out, object{"name": p.name, "in": "header", "required": true, "description": p.text, "schema": object{"type": p.kind}})
	}
	return out
}

// jsonSchema is the schema of a type as OpenAPI 3.1 writes it: what can be null
// says so in its type.
func jsonSchema(v any) (object, error) {
	data, err := json.Marshal(schema.Of(v))
	if err != nil {
		return nil, err
	}
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, err
	}
	return nullable(out), nil
}

func nullable(s object) object {
	if s["nullable"] == true {
		s["type"] = []any{s["type"], "null"}
	}
	delete(s, "nullable")
	delete(s, "x-kubernetes-preserve-unknown-fields")
	for _, v := range s {
		if below, ok := v.(object); ok {
			nullable(below)
		}
	}
	return s
}
