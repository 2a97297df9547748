package site

import _ "embed"

//go:embed example.yaml
var example string

// Example returns a site.yaml with a comment on every field, to be filled in.
func Example() []byte { return []byte(example) }
