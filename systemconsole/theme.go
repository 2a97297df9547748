package systemconsole

import "net/http"

// themeCookie keeps whether the reader wants the console light or dark. It
// belongs to the browser, not to the account.
const themeCookie = "__Host-theme"

// theme returns light, dark, or nothing for the system's choice.
func theme(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || (c.Value != "light" && c.Value != "dark") {
		return ""
	}
	return c.Value
}

// setTheme keeps the choice and goes back to the page it was made on.
func (s *Server) setTheme(w http.ResponseWriter, r *http.Request) error {
	c := &http.Cookie{Name: themeCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if wanted := r.PostFormValue("theme"); wanted == "light" || wanted == "dark" {
		c.Value, c.MaxAge = wanted, 365*24*3600
	}
	http.SetCookie(w, c)
	return see(w, r, local(r.PostFormValue("back")))
}
