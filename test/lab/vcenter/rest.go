package vcenter

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	restSession  = "vmware-api-session-id"
	restLogin    = "/rest/com/vmware/cis/session"
	restTagging  = "/rest/com/vmware/cis/tagging/"
	maxRESTBytes = 1 << 20
)

// restSessions knows the REST sessions that were seen and those that expired.
type restSessions struct {
	mu      sync.Mutex
	seen    map[string]bool
	expired map[string]bool
}

func (s *restSessions) see(id string) (expired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen, s.expired = map[string]bool{}, map[string]bool{}
	}
	s.seen[id] = true
	return s.expired[id]
}

func (s *restSessions) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.seen {
		s.expired[id] = true
	}
}

// serveREST checks a session's age and the privileges for tags.
func (v *VCenter) serveREST(w http.ResponseWriter, r *http.Request, next http.Handler) {
	id := r.Header.Get(restSession)
	if c, err := r.Cookie(restSession); err == nil && id == "" {
		id = c.Value
	}
	if id == "" {
		next.ServeHTTP(w, r)
		return
	}
	if v.rest.see(id) {
		restError(w, http.StatusUnauthorized, "com.vmware.vapi.std.errors.unauthenticated", "The session has expired.")
		return
	}
	if !strings.HasPrefix(r.URL.Path, restTagging) {
		next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRESTBytes))
	if err != nil {
		restError(w, http.StatusBadRequest, "com.vmware.vapi.std.errors.invalid_request", err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	own := v.own(context.WithoutCancel(r.Context()))
	user := restUser(next, id)
	for _, n := range v.tagNeeds(r, body) {
		if user != "" && !v.granted(own, user, n.on)[n.privilege] {
			restError(w, http.StatusForbidden, "com.vmware.vapi.std.errors.unauthorized", "missing privilege "+n.privilege+" on "+n.on.String())
			return
		}
	}
	next.ServeHTTP(w, r)
}

func restError(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "value": map[string]any{
		"messages": []map[string]any{{"id": kind, "default_message": text, "args": []string{}}},
	}})
}

// restUser asks the simulator whose session an id is.
func restUser(next http.Handler, id string) string {
	r := httptest.NewRequest(http.MethodPost, restLogin+"?~action=get", nil)
	r.Header.Set(restSession, id)
	w := httptest.NewRecorder()
	next.ServeHTTP(w, r)
	var answer struct {
		Value struct {
			User string `json:"user"`
		} `json:"value"`
	}
	if json.Unmarshal(w.Body.Bytes(), &answer) != nil {
		return ""
	}
	return answer.Value.User
}

// tagNeeds returns the privileges that a request of the tagging service needs.
func (v *VCenter) tagNeeds(r *http.Request, body []byte) []need {
	action := r.URL.Query().Get("~action") + r.URL.Query().Get("action")
	kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, restTagging), "/")
	root := v.root().Reference()
	var what string
	switch {
	case kind == "tag-association":
		return v.attachNeeds(action, body)
	case r.Method == http.MethodPost && action == "" && rest == "":
		what = "Create"
	case r.Method == http.MethodPatch:
		what = "Edit"
	case r.Method == http.MethodDelete:
		what = "Delete"
	default:
		return nil
	}
	switch kind {
	case "tag":
		return []need{{root, "InventoryService.Tagging." + what + "Tag"}}
	case "category":
		return []need{{root, "InventoryService.Tagging." + what + "Category"}}
	}
	return nil
}

func (v *VCenter) attachNeeds(action string, body []byte) []need {
	if strings.HasPrefix(action, "list") || (!strings.HasPrefix(action, "attach") && !strings.HasPrefix(action, "detach")) {
		return nil
	}
	type object struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	var spec struct {
		One  *object  `json:"object_id"`
		Many []object `json:"object_ids"`
	}
	if json.Unmarshal(body, &spec) != nil {
		return nil
	}
	if spec.One != nil {
		spec.Many = append(spec.Many, *spec.One)
	}
	var needs []need
	for _, o := range spec.Many {
		needs = append(needs, need{types.ManagedObjectReference{Type: o.Type, Value: o.ID}, "InventoryService.Tagging.AttachTag"})
	}
	return needs
}
