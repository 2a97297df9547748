package document_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/document"
)

type thing struct {
	Name  string   `json:"name"`
	Live  bool     `json:"live"`
	Count int      `json:"count"`
	Kind  string   `json:"kind" enum:"a,b"`
	Parts []part   `json:"parts"`
	Words []string `json:"words"`
}

type part struct {
	Path string `json:"path"`
}

func (part) ShortField() string { return "path" }

func decode(text string, found ...string) (thing, error) {
	var out thing
	err := document.Decode([]byte(text), &out, func() []string { return found }, document.Options{Lines: true})
	return out, err
}

func TestDecode(t *testing.T) {
	out, err := decode("name: x\nlive: true\ncount: 3\nparts: [a, {path: b}]\n")
	require.NoError(t, err)
	require.Equal(t, thing{Name: "x", Live: true, Count: 3, Parts: []part{{"a"}, {"b"}}}, out)
}

func TestDecodeTellsLines(t *testing.T) {
	_, err := decode("name: x\n\nlive: yes please\nparts:\n- a\n- {pth: b}\ncount: 1.5\nwords: &w [a]\nkind: *w\n", "parts[1].path: is empty", "other.field: is not there")
	require.ErrorIs(t, err, document.ErrInvalid)
	require.Equal(t, strings.Join([]string{
		"not valid:",
		"line 1: other.field: is not there",
		"line 3: live: is a string, not true or false",
		`line 6: parts[1]: has no field "pth"; did you mean path?`,
		"line 6: parts[1].path: is empty",
		"line 7: count: is a number, not a whole number",
		"line 9: kind: is a list, not a string",
	}, "\n  "), err.Error())
}

func TestSchemaOf(t *testing.T) {
	data, err := json.Marshal(document.SchemaOf(reflect.TypeFor[thing]()))
	require.NoError(t, err)
	require.JSONEq(t, `{"type": "object", "additionalProperties": false, "properties": {
		"name": {"type": ["string", "null"]}, "live": {"type": ["boolean", "null"]}, "count": {"type": ["integer", "null"]},
		"kind": {"type": ["string", "null"], "enum": ["a", "b", "", null]},
		"words": {"type": ["array", "null"], "items": {"type": "string"}},
		"parts": {"type": ["array", "null"], "items": {"anyOf": [{"type": "string"},
			{"type": "object", "additionalProperties": false, "properties": {"path": {"type": ["string", "null"]}}}]}}}}`, string(data))
}

func FuzzDecode(f *testing.F) {
	f.Add("name: x\nparts: [a, {path: b}]\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := decode(text, "parts[3].path: is empty")
		require.ErrorIs(t, err, document.ErrInvalid)
	})
}
