package web

import (
	"net/url"
	"strconv"
)

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

// Pages says which page of a list is shown, and leads to those beside it.
type Pages struct {
	Number, Last int // from 1
	Rows         int // of all pages
	Path         string
	Query        url.Values // what else selects the list
}

// To is the address of a page of the same list.
func (p Pages) To(number int) string {
	query := url.Values{"page": {strconv.Itoa(number)}}
	for name, values := range p.Query {
		query[name] = values
	}
	return p.Path + "?" + query.Encode()
}

// Previous is the number of the page before; 0 when there is none.
func (p Pages) Previous() int { return p.Number - 1 }

// Next is the number of the page after; 0 when there is none.
func (p Pages) Next() int {
	if p.Number >= p.Last {
		return 0
	}
	return p.Number + 1
}

// Message is something that the console says on top of a page.
type Message struct {
	State    State
	Text     string
	Detail   []string // further lines
	Remedies []string
}
