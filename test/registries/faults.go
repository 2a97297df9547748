package registries

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Faults returns a layer that makes these faults; the first that fits is made.
func Faults(faults ...Fault) func(http.Handler) http.Handler {
	var mu sync.Mutex
	made := make([]int, len(faults))
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i, f := range faults {
				if (f.Method != "" && f.Method != r.Method) || !strings.Contains(r.URL.Path, f.Path) {
					continue
				}
				mu.Lock()
				over := f.Times > 0 && made[i] >= f.Times
				made[i]++
				mu.Unlock()
				if over {
					continue
				}
				if f.Through != nil {
					f.Through(h, w, r)
				} else {
					f.Do(w, r)
				}
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// Status answers with a status and headers, given as names and values.
func Status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// CutAfter lets the registry answer, but ends the connection after n bytes of the body.
func CutAfter(n int) func(http.Handler, http.ResponseWriter, *http.Request) {
	return func(h http.Handler, w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&limited{ResponseWriter: w, left: n, end: func() { panic(http.ErrAbortHandler) }}, r)
	}
}

// StallAfter lets the registry answer, but nothing moves after n bytes of the body.
func StallAfter(n int) func(http.Handler, http.ResponseWriter, *http.Request) {
	return func(h http.Handler, w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&limited{ResponseWriter: w, left: n, end: func() {
			select {
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
			panic(http.ErrAbortHandler)
		}}, r)
	}
}

// WrongBytes lets the registry answer, but changes the first byte of the body.
func WrongBytes(h http.Handler, w http.ResponseWriter, r *http.Request) {
	h.ServeHTTP(&changed{ResponseWriter: w}, r)
}

// WithoutRanges lets the registry answer as if it knew no ranges.
func WithoutRanges(h http.Handler, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	h.ServeHTTP(w, r)
}

// AnnounceMore lets the registry answer, but announces one byte too many.
func AnnounceMore(n string) func(http.Handler, http.ResponseWriter, *http.Request) {
	return func(h http.Handler, w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&announced{ResponseWriter: w, length: n}, r)
	}
}

type limited struct {
	http.ResponseWriter
	left int
	end  func()
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) < l.left {
		l.left -= len(p)
		return l.ResponseWriter.Write(p)
	}
	_, _ = l.ResponseWriter.Write(p[:l.left])
	if f, ok := l.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	l.end()
	return 0, http.ErrAbortHandler
}

type changed struct {
	http.ResponseWriter
	done bool
}

func (c *changed) Write(p []byte) (int, error) {
	if !c.done && len(p) > 0 {
		c.done = true
		p = append([]byte{p[0] ^ 1}, p[1:]...)
	}
	return c.ResponseWriter.Write(p)
}

type announced struct {
	http.ResponseWriter
	length string
}

func (a *announced) WriteHeader(code int) {
	a.Header().Set("Content-Length", a.length)
	a.ResponseWriter.WriteHeader(code)
}

func (a *announced) Write(p []byte) (int, error) {
	a.Header().Set("Content-Length", a.length)
	return a.ResponseWriter.Write(p)
}
