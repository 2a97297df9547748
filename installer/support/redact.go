package support

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Redactor takes secrets out of text: those that it was told, in every form in
// which they are written, and everything that looks like one.
type Redactor struct {
	known    []string // the longest first
	patterns []pattern
}

type pattern struct {
	find *regexp.Regexp
	with string
}

// NewRedactor returns a redactor that knows patterns only.
func NewRedactor() *Redactor {
	p := func(expression, with string) pattern { return pattern{regexp.MustCompile(expression), with} }
	return &Redactor{patterns: []pattern{
		// Whole, and cut off at either end; line ends may be escaped, as in JSON.
		p(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?-----END [A-Z0-9 ]*PRIVATE KEY-----`, redacted),
		p(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s]|\\n|\\r)*`, redacted),
		p(`(?:[A-Za-z0-9+/=]{8,}(?:\s|\\n|\\r)*)+-----END [A-Z0-9 ]*PRIVATE KEY-----`, redacted),
		// PEM in base64, whatever it is: -----BEGIN in its three alignments.
		p(`(?:LS0tLS1CRUdJTi|0tLS0tQkVHSU4g|tLS0tLUJFR0lOI)[A-Za-z0-9+/=_-]*`, redacted),
		p(`AGE-SECRET-KEY-1[A-Z0-9]+`, redacted),
		p(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`, redacted), // JSON web tokens
		p(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`, redacted),                                  // bootstrap tokens of kubeadm
		p(`\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}`, redacted),                          // bcrypt
		p(`(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}`, "$1$2"+redacted),
		p(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s:@"']+:[^/\s"']+@`, "$1"+redacted+"@"),
		p(`(?i)("auth\\?"\s*:\s*\\?")[A-Za-z0-9+/=]{4,}`, "$1"+redacted), // of a registry, in docker's words
		p(`(?im)((?:^|[\s"'\[])--?[a-z0-9-]*(?:password|passwd|passphrase|token|secret)\s+)[^\s"',;-][^\s"',;]*`, "$1"+redacted),
		// After a name that says what follows: quoted within a quoted text, quoted, and plain.
		p(named+`\\")(?:[^"\\\n]|\\[^"\n])*`, "$1"+redacted),
		p(named+`")(?:[^"\\\n]|\\.)*`, "$1"+redacted),
		p(named+`')[^'\n]*`, "$1"+redacted),
		p(named+`)[^\s"',;\\{}\[\]]+`, "$1"+redacted),
	}}
}

// named begins a pattern: the name of a secret, and what stands between it and
// its value.
const named = `(?i)((?:password|passwd|passphrase|[-_]pass|pwd|token|secret|(?:secret|access|api|certificate|private)[-_]?key|client-key-data|` +
	`vmware_soap_session|session[-_]?id)\\?["']?\s*[:=]\s*`

// shortest is the length below which a secret that nobody chose as a password
// would take words out of every text.
const shortest = 8

// Tell makes secrets known. A password of the site is one at any length.
func (r *Redactor) Tell(secrets ...string) {
	for _, s := range secrets {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		r.known = append(r.known, forms(s)...)
	}
	slices.SortFunc(r.known, func(a, b string) int { return len(b) - len(a) })
	r.known = slices.Compact(r.known)
}

// forms are the ways in which a secret is written.
func forms(s string) []string {
	quoted, err := json.Marshal(s)
	if err != nil {
		quoted = []byte(s)
	}
	out := []string{s, strings.Trim(string(quoted), `"`), url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(s, "'", "''")} // the last as YAML quotes
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) == nil {
		out = append(out, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		out = append(out, encoding.EncodeToString([]byte(s)))
		out = append(out, within(encoding, s)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within returns what stands in the base64 of any longer text around a secret:
// three, for the three places of its first byte, without the characters that
// its neighbors share.
func within(encoding *base64.Encoding, s string) []string {
	var out []string
	for before := range 3 {
		text := encoding.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, before), s...))
		bits := (before + len(s)) * 8
		from, to := (before*8+5)/6, bits/6
		if to-from >= shortest {
			out = append(out, text[from:to])
		}
	}
	return out
}

// Bytes returns a text without secrets.
func (r *Redactor) Bytes(text []byte) []byte {
	for _, s := range r.known {
		text = bytes.ReplaceAll(text, []byte(s), []byte(redacted))
	}
	for _, p := range r.patterns {
		text = p.find.ReplaceAll(text, []byte(p.with))
	}
	return text
}

// Object takes secrets out of an object's fields, in place: those whose names
// say what they are, and the files of machines.
func (r *Redactor) Object(o map[string]any) {
	if o["kind"] == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			if data, ok := o[field].(map[string]any); ok {
				for key := range data {
					data[key] = redacted
				}
			}
		}
	}
	if meta, ok := o["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
		if annotations, ok := meta["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	walk(o)
}

var secretField = regexp.MustCompile(`(?i)^(password|passwd|passphrase|token|secret|content|client-key-data|private-?key|.*-key-data|tls\.key|certificateKey)$`)

var secretVariable = regexp.MustCompile(`(?i)(PASS|PWD|TOKEN|SECRET|CREDENTIAL|KEY)`)

func walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			walk(item)
		}
	case map[string]any:
		if name, ok := v["name"].(string); ok && secretVariable.MatchString(name) {
			if _, ok := v["value"].(string); ok { // a variable of a container
				v["value"] = redacted
			}
		}
		for key, value := range v {
			if _, ok := value.(string); ok && secretField.MatchString(key) {
				v[key] = redacted
				continue
			}
			walk(value)
		}
	}
}
