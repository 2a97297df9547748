package systemconsole

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// apiPrefix is where the interface for programs is.
const apiPrefix = "/api/v1"

// operation is what the API's document says of a route.
type operation struct {
	summary string
	in, out any         // zero values of what is sent and answered; nothing{} for nothing
	query   []parameter // of the address
	content string      // type of an answer that is not JSON
	headers []parameter // of a request that has to have them
	sent    string      // type of what is sent that is not JSON
	status  int         // of an answer without content; 0 means 204
	answers []parameter // headers of the answer
}

// parameter is one of an address.
type parameter struct {
	name, kind, text string
}

// nothing is sent or answered.
type nothing struct{}

// call makes a route of the API of what does it.
func call[In, Out any](pattern string, needs auth.Permission, summary string, do func(*http.Request, In) (Out, error), query ...parameter) route {
	var in In
	var out Out
	handle := func(w http.ResponseWriter, r *http.Request) error {
		var in In
		if err := readJSON(r, &in); err != nil {
			return err
		}
		out, err := do(r, in)
		if err != nil {
			return err
		}
		return writeJSON(w, out)
	}
	return route{pattern: method(pattern), access: token(needs), handler: handle, op: &operation{summary: summary, in: in, out: out, query: query}}
}

// method puts the prefix between the method and the path: "GET /x".
func method(pattern string) string {
	m, path := splitPattern(pattern)
	return m + " " + apiPrefix + path
}

// readJSON reads the body of a request strictly: one value, and no field that
// is not known.
func readJSON(r *http.Request, v any) error {
	if _, none := v.(*nothing); none {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return badForm(errors.New("the Content-Type is not application/json"))
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badForm(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badForm(errors.New("there is more after the JSON value"))
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	if _, none := v.(nothing); none {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n')) // a client that went away is told nothing
	return nil
}

// pageParameters are those of a listing.
func pageParameters() []parameter {
	return []parameter{{"limit", "integer", "most items of the page, at most " + strconv.Itoa(store.MaxPage)}, {"continue", "string", "from the page before"}}
}

// listOptions reads the parameters of a listing.
func listOptions(r *http.Request) (store.ListOptions, error) {
	opts := store.ListOptions{Continue: r.URL.Query().Get("continue")}
	limit := r.URL.Query().Get("limit")
	if limit == "" {
		return opts, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > store.MaxPage {
		return opts, form.Fail("limit", "enter a number from 1 to %d", store.MaxPage)
	}
	opts.Limit = n
	return opts, nil
}

// listed reads a page of a listing as a request asks for it, and shows each of
// its items. A page without items is empty, not null.
func listed[T, V any](r *http.Request, list func(context.Context, store.ListOptions) ([]T, string, error), show func(T) V) (page []V, next string, err error) {
	page = []V{}
	opts, err := listOptions(r)
	if err != nil {
		return page, "", err
	}
	items, next, err := list(r.Context(), opts)
	for _, item := range items {
		page = append(page, show(item))
	}
	return page, next, err
}
