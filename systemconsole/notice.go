package systemconsole

import (
	"net/http"
	"net/url"
)

// A notice is the outcome of what was done last. It travels in the address of
// the next page as a word, never as text: an address that somebody else made
// up cannot put words into the console's mouth.
const (
	noticeParameter = "notice"
	noticePassword  = "password"
)

func notices() map[string]string {
	return map[string]string{
		noticePassword: "Your password was changed.",
	}
}

// notice returns the text for the word in the address of a request.
func notice(r *http.Request) string { return notices()[r.URL.Query().Get(noticeParameter)] }

// seeNotice sends the browser to another page, which tells the outcome.
func seeNotice(w http.ResponseWriter, r *http.Request, path, word string) error {
	return see(w, r, path+"?"+url.Values{noticeParameter: {word}}.Encode())
}
