package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mileusna/useragent"

	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
)

// functions are what templates call.
func (r *Renderer) functions() template.FuncMap {
	return template.FuncMap{
		"glance": atAGlance,
		"more":   func(all []enterprise.Node) int { return max(0, len(all)-glance) },
		"asset":  r.assets.url,
		"icon":   r.icon,
		"symbol": symbol,
		"mark":   func(state any) (template.HTML, error) { return r.icon(markOf(fmt.Sprint(state))) },
		"word":   func(state any) string { return word(fmt.Sprint(state)) },
		"chip":   func(state, text string) Status { return Status{State(state), text} },
		"bytes":  func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) },
		"count":  func(n int) string { return humanize.Comma(int64(n)) },
		"plural": plural,
		"ago":    ago,
		"stamp":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"short":  short,
		"empty":  func(icon, title, text string, links ...Link) Empty { return Empty{icon, title, text, links} },
		"link":   func(text, path string) Link { return Link{text, path} },
		"field":  newField,
		"kind":   func(kind string, f Field) Field { f.Kind = kind; return f },
		"hint":   func(text string, f Field) Field { f.Hint = text; return f },
		"need":   func(f Field) Field { f.Required = true; return f },
		"fill":   func(name string, f Field) Field { f.Autocomplete = name; return f },
		"rows":   func(n int, f Field) Field { f.Rows = n; return f },
		"choose": func(options []Option, f Field) Field { f.Options = options; return f },
		"choices": func(name, label string, choices []Choice, problems form.Problems) Choices {
			return Choices{name, label, choices, problems.Of(name)}
		},
		"options": options,
		"value":   ValueText,
		"setting": settingName,
		"diff":    diffLines,
		"changed": diffCount,
		"browser": browser,
		"answers": RegistryStatus,
		"holder":  func(text string, f Field) Field { f.Placeholder = text; return f },
		"between": func(low, high int, f Field) Field { f.Min, f.Max = fmt.Sprint(low), fmt.Sprint(high); return f },
	}
}

// icon draws one of static/icons.svg. It says nothing to a screen reader: the
// text beside it does.
func (r *Renderer) icon(name string) (template.HTML, error) {
	url, err := r.assets.url("icons.svg")
	return template.HTML(`<svg class="icon" aria-hidden="true" focusable="false"><use href="` + //nolint:gosec // both parts are the program's own
		url + "#" + template.HTMLEscapeString(name) + `"></use></svg>`), err
}

// symbol is the icon of a section.
func symbol(section string) string {
	switch section {
	case "summary":
		return "home"
	case "registries":
		return "registry"
	case "administration":
		return "settings"
	case "me":
		return "account"
	default:
		return section
	}
}

func markOf(state string) string {
	switch State(state) {
	case Good, Warn, Bad, Busy:
		return state
	default:
		return "none"
	}
}

// word says a state to those who do not see its mark.
func word(state string) string {
	switch State(state) {
	case Good:
		return "Good:"
	case Warn:
		return "Warning:"
	case Bad:
		return "Problem:"
	case Busy:
		return "In progress:"
	default:
		return ""
	}
}

// browser names who made a session, as "Chrome 142 on Linux"; a program that is
// no browser has the name that it gave itself.
func browser(agent string) string {
	switch is := useragent.Parse(agent); {
	case is.IsUnknown():
		return agent
	case is.OS == "":
		return is.Name
	default:
		return fmt.Sprintf("%s %d on %s", is.Name, is.VersionNo.Major, is.OS)
	}
}

// Empty is shown where a list has nothing.
type Empty struct {
	Icon, Title, Text string
	Links             []Link // what to do about it; the first one stands out
}

// Field is one input of a form.
type Field struct {
	Name, Label, Value string
	Kind               string // type of the input, or textarea, select, secret; text when empty
	Hint, Error        string
	Placeholder        string
	Autocomplete       string
	Required           bool
	Rows               int
	Min, Max           string
	Options            []Option
}

// Choices are a few things of which one is taken.
type Choices struct {
	Name, Label string
	Choices     []Choice
	Error       string
}

// options makes the choices of a field of values and texts in turn.
func options(pairs ...string) []Option {
	var out []Option
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, Option{pairs[i], pairs[i+1]})
	}
	return out
}

// Option is one choice of a field.
type Option struct {
	Value, Text string
}

// Describes lists the ids of the texts that belong to the input.
func (f Field) Describes() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.Name+"-error")
	}
	return strings.Join(ids, " ")
}

func newField(name, label string, value any, problems form.Problems) Field {
	return Field{Name: name, Label: label, Value: fmt.Sprint(value), Kind: "text", Error: problems.Of(name)}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}

// ago says how long ago something was, or how long it is until then.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := time.Since(t); d > -time.Second && d < 5*time.Second {
		return "just now"
	}
	return humanize.RelTime(t, time.Now(), "ago", "from now")
}

// short cuts a digest to what people compare.
func short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) < 12 {
		return digest
	}
	return algorithm + ":" + hex[:12]
}
