// Package form says what is wrong with what was entered, field by field.
package form

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one mistake.
type Problem struct {
	Field string `json:"field"` // name of the form's field, or nothing for the form as a whole
	Text  string `json:"text"`
}

// Problems is every mistake of a form at once. It is an error when it is not
// empty; see Err.
type Problems []Problem

// Add notes a mistake.
func (p *Problems) Add(field, format string, args ...any) {
	*p = append(*p, Problem{Field: field, Text: fmt.Sprintf(format, args...)})
}

// Err returns the mistakes as an error, or nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Error returns all mistakes in one line.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, one := range p {
		texts[i] = one.Text
		if one.Field != "" {
			texts[i] = one.Field + ": " + one.Text
		}
	}
	return strings.Join(texts, "; ")
}

// Of returns what was wrong with one field, for the place beside it.
func (p Problems) Of(field string) string {
	for _, one := range p {
		if one.Field == field {
			return one.Text
		}
	}
	return ""
}

// From returns the problems in the chain of err; ok is false for an error of
// another sort.
func From(err error) (p Problems, ok bool) {
	ok = errors.As(err, &p)
	return p, ok
}

// Fail returns a single mistake as an error.
func Fail(field, format string, args ...any) error {
	var p Problems
	p.Add(field, format, args...)
	return p
}
