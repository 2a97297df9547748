package web

// Link is a text with an address.
type Link struct {
	Text, Path string
}

// Tab is a part of a section.
type Tab struct {
	Text, Path string
	Current    bool
}

// State says how something is; the zero value is "not known".
type State string

// The states. Each has a mark of its own.
const (
	Unknown State = ""
	Good    State = "good"
	Warn    State = "warn"
	Bad     State = "bad"
	Busy    State = "busy"
)

// Status is a state with its word.
type Status struct {
	State State
	Text  string
}

// Message is something that the console says on top of a page.
type Message struct {
	State    State
	Text     string
	Detail   []string // further lines
	Remedies []string
}
