package registries

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Harbor stands before a registry and answers for projects as the API of Harbor
// 2.0 is documented (https://goharbor.io, api/v2.0/swagger.yaml). A Harbor itself
// cannot be run here: it is a dozen programs that cannot be had as modules.
type Harbor struct {
	User        string   // whose name, with the right password, is asked for
	Password    string   // "" takes any
	Restriction string   // who may make projects: everyone or adminonly
	Admin       bool     // the user is an administrator
	Projects    []string // that are there
	Down        bool     // its database does not answer

	mu   sync.Mutex
	made []string // bodies of the requests that made a project
}

// Made returns the bodies of the requests that made a project.
func (h *Harbor) Made() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.made)
}

// Wrap is a layer for Options.Wrap.
func (h *Harbor) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.Path, "/api/v2.0/"); ok {
			h.api(w, r, path)
			return
		}
		if project, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/"); ok && project != "" && !h.has(project) {
			refuse(w, http.StatusNotFound, "NOT_FOUND", "project "+project+" not found")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *Harbor) has(project string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.Projects, project)
}

func (h *Harbor) api(w http.ResponseWriter, r *http.Request, path string) {
	user, password, _ := r.BasicAuth()
	project, one := strings.CutPrefix(path, "projects/")
	switch {
	case path == "systeminfo":
		fmt.Fprintf(w, `{"harbor_version": "v2.12.0", "project_creation_restriction": %q}`, h.Restriction)
	case user != h.User || h.Password != "" && password != h.Password:
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized")
	case h.Down:
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "the database is down")
	case path == "users/current":
		fmt.Fprintf(w, `{"username": %q, "sysadmin_flag": %t}`, user, h.Admin)
	case one && h.has(project):
		fmt.Fprintf(w, `{"name": %q}`, project)
	case one:
		refuse(w, http.StatusNotFound, "NOT_FOUND", "project "+project+" not found")
	case path == "projects" && r.Method == http.MethodPost:
		h.make(w, r)
	default:
		refuse(w, http.StatusNotFound, "NOT_FOUND", "not found")
	}
}

// make makes a project, for those who may.
func (h *Harbor) make(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name string `json:"project_name"`
	}
	raw := json.RawMessage{}
	if json.NewDecoder(r.Body).Decode(&raw) != nil || json.Unmarshal(raw, &body) != nil || body.Name == "" {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "project_name is required")
		return
	}
	if !h.Admin && h.Restriction != "everyone" {
		refuse(w, http.StatusForbidden, "FORBIDDEN", "Only system admin can create project")
		return
	}
	if h.has(body.Name) {
		refuse(w, http.StatusConflict, "CONFLICT", "The project named "+body.Name+" already exists")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Projects, h.made = append(h.Projects, body.Name), append(h.made, string(raw))
	w.Header().Set("Location", "/api/v2.0/projects/"+body.Name)
	w.WriteHeader(http.StatusCreated)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors": [{"code": %q, "message": %q}]}`, code, message)
}
