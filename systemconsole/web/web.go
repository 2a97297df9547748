// Package web shows the console's pages: templates, styles and scripts, all
// embedded.
//
// A page is a struct of one type with a template of its own: templates/NAME.html
// defines "content", which templates/layout.html surrounds; it may define "lead"
// (a line below the title) and "actions" (buttons beside it). What pages share
// are the partials in templates/partials.html. Every page works without
// JavaScript: htmx keeps live parts live by asking for the same page again and
// taking its part, and console.js adds dialogs, copy buttons and uploads that
// can be resumed. There is nothing inline, neither scripts nor styles: the
// Content-Security-Policy forbids both. Files below static have addresses that
// hold their checksum, so that browsers keep them for good.
//
// htmx and the typeface are copied from npm by go generate and committed;
// nothing is fetched when the console runs.
package web

//go:generate ./assets.sh

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/sealift/sealift/systemconsole/form"
)

//go:embed templates static
var files embed.FS

// Page is what one template shows.
type Page interface {
	// Template is the name of the file below templates, without .html.
	Template() string
}

// Frame is what the layout shows around every page; each page embeds it. The
// layout reads it as .Frame, so that no field of a page takes the place of one
// of its own.
type Frame struct {
	Title     string
	Section   string        // entry of the navigation that is current, as Entry.Name
	Crumbs    []Link        // the way to the page, without the page itself
	Entries   []Entry       // of the navigation: what the account may see
	Account   string        // who is logged in, or nothing
	Role      string        // such as root
	FormToken string        // value of the hidden field "form-token" of every form
	Banner    string        // of the site, set by its administrators
	Rules     string        // of passwords, for those who set one
	Notice    string        // the outcome of what was done last
	Problems  form.Problems // of the form that was sent
	Says      []Message     // what else the page has to say, on top
	Version   string
	Theme     string // light, dark, or nothing for the system's choice
	Path      string // of the page or, where a form is answered, of the one above it
	Site      string // whose pages these are: the console, or a tenant's organization
	Base      string // what the paths of the site begin with; empty for the console
	OwnPath   string // of the page of the own account
	// Reload is the seconds after which the page loads anew from ReloadPath where
	// there is no JavaScript; 0 means never. What answers a form has no ReloadPath
	// and stands still.
	Reload     int
	ReloadPath string
}

// Entry is one of the navigation.
type Entry struct {
	Name, Label, URL string
}

// Renderer turns pages into HTML.
type Renderer struct {
	pages  map[string]*template.Template
	assets *assets

	buffers sync.Pool // of pages under way
}

// New parses every template.
func New() (*Renderer, error) {
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	r := &Renderer{pages: map[string]*template.Template{}, assets: a, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	layout, err := template.New("layout.html").Funcs(r.functions()).ParseFS(files, "templates/layout.html", "templates/partials.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "layout" || base == "partials" {
			continue
		}
		page, err := template.Must(layout.Clone()).ParseFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", base, err)
		}
		r.pages[base] = page
	}
	return r, nil
}

// Render writes a whole page.
func (r *Renderer) Render(w http.ResponseWriter, status int, p Page) error {
	return r.RenderPart(w, status, p, "layout.html")
}

// RenderPart writes a part of a page: a template that its file defines, for a
// script that replaces it. Nothing is written when the template fails.
func (r *Renderer) RenderPart(w http.ResponseWriter, status int, p Page, part string) error {
	t, ok := r.pages[p.Template()]
	if !ok {
		return fmt.Errorf("there is no page %q", p.Template())
	}
	b := r.buffers.Get().(*bytes.Buffer) // nothing else is put there
	defer r.buffers.Put(b)
	b.Reset()
	if err := t.ExecuteTemplate(b, part, p); err != nil {
		return fmt.Errorf("showing %s of page %s: %w", part, p.Template(), err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away is told nothing
	return nil
}
