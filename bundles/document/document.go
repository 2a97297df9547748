// Package document reads the YAML documents that people write for sealift.
//
// Reading is strict and tells everything at once: fields that do not exist,
// values of the wrong type and what the document's own check finds, each with
// the path of its field. The same Go types give the JSON schema for editors.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
)

// ErrInvalid means: the document is not what it should be.
var ErrInvalid = errors.New("not valid")

// Options says how a document is read.
type Options struct {
	// Lines puts the line in the file before each problem, and sorts by it.
	Lines bool
}

// Decode reads one YAML document into the structure that into points at and
// then has validate look at it. The error is ErrInvalid and names every problem
// of both: fields that do not exist, values of the wrong type, and what
// validate finds. Each is "PATH: TEXT", with a path such as spec.items[2].name.
func Decode(data []byte, into any, validate func() []string, options Options) error {
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
	all := append(s.problems, found...)
	if options.Lines {
		all = withLines(data, all)
	}
	return Invalid(all)
}

func unreadable(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return problem.New(problem.Usage, "", "%w: %s", ErrInvalid, strings.TrimPrefix(text, "unmarshal errors:\n  "))
}

// maxProblems is how many problems are told one by one.
const maxProblems = 100

// Invalid returns the error that names these problems; nil for none.
func Invalid(problems []string) error {
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
