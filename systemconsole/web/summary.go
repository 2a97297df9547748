package web

import "github.com/sealift/sealift/systemconsole/enterprise"

// SummaryPage is the first page after the login: what runs, and what needs
// somebody.
type SummaryPage struct {
	Frame
	Figures   []Figure
	Overview  *enterprise.Overview // nil where there is no cluster, or the reader may not see it
	ShowsNone bool                 // there is no cluster, and the reader may know
	Installs  bool                 // the console can install one
	Attention []Attention
	Events    []enterprise.Event
}

// Template names the template.
func (SummaryPage) Template() string { return "summary" }

// Figure is one number on the summary.
type Figure struct {
	Label, Icon, Path string
	Value, Unit       string
	Status            Status
}

// Attention is something that waits for somebody.
type Attention struct {
	State  State
	Text   string
	Remedy string
	Path   string
}
