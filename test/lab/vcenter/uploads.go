package vcenter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// uploads knows the leases of imports under way.
type uploads struct {
	mu     sync.Mutex
	leases map[string]*openLease
}

type openLease struct {
	lease *simulator.HttpNfcLease
	sums  map[string]string // SHA-256 of each file
}

func (u *uploads) open(l *simulator.HttpNfcLease) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases == nil {
		u.leases = map[string]*openLease{}
	}
	u.leases[l.Self.Value] = &openLease{lease: l, sums: map[string]string{}}
}

func (u *uploads) close(ref types.ManagedObjectReference) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.leases, ref.Value)
}

func (u *uploads) find(id string) *simulator.HttpNfcLease {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.leases[id]; l != nil {
		return l.lease
	}
	return nil
}

func (u *uploads) note(id, name, sum string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.leases[id]; l != nil {
		l.sums[name] = sum
	}
}

func (u *uploads) sums(ref types.ManagedObjectReference) map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	sums := map[string]string{}
	if l := u.leases[ref.Value]; l != nil {
		for name, sum := range l.sums {
			sums[name] = sum
		}
	}
	return sums
}

// checkHTTP is what every request passes before the simulator sees it.
func (v *VCenter) checkHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/nfc/"):
			v.serveLease(w, r, next)
		case strings.HasPrefix(r.URL.Path, "/folder/"):
			v.serveFiles(w, r, next)
		case strings.HasPrefix(r.URL.Path, "/rest/"), strings.HasPrefix(r.URL.Path, "/api/"):
			v.serveREST(w, r, next)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// serveLease keeps what is uploaded to a disk of an import.
func (v *VCenter) serveLease(w http.ResponseWriter, r *http.Request, next http.Handler) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/nfc/"), "/")
	if (r.Method != http.MethodPut && r.Method != http.MethodPost) || len(parts) != 2 {
		next.ServeHTTP(w, r)
		return
	}
	l := v.uploads.find(parts[0])
	if l == nil {
		http.NotFound(w, r)
		return
	}
	disk := v.target(v.own(context.WithoutCancel(r.Context())), l, parts[1])
	if disk == nil {
		next.ServeHTTP(w, r) // an image of a CD, say: the simulator counts its bytes
		return
	}
	file, err := os.Create(v.diskFile(disk))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	room := v.room(v.storeOf(disk.Backing))
	if r.ContentLength > room {
		noRoom(w, r)
		return
	}
	r.Body = readCloser{io.TeeReader(&bounded{r: r.Body, left: room}, io.MultiWriter(file, sum)), r.Body}
	next.ServeHTTP(w, r)
	v.uploads.note(parts[0], parts[1], hex.EncodeToString(sum.Sum(nil)))
}

type readCloser struct {
	io.Reader
	io.Closer
}

// noRoom refuses an upload. It reads it to its end first: the client library
// panics where an answer comes while it still sends.
func noRoom(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	http.Error(w, "There is not enough space on the datastore.", http.StatusInsufficientStorage)
}

// room returns the free space of a datastore, in bytes.
func (v *VCenter) room(ref *types.ManagedObjectReference) int64 {
	if ref == nil {
		return 0
	}
	ds, ok := v.registry().Get(*ref).(*simulator.Datastore)
	if !ok {
		return 0
	}
	v.provision.Lock()
	defer v.provision.Unlock()
	return v.freeSpace(ds)
}

var errFull = errors.New("the datastore is full")

// bounded fails where more is read than there is room for, after all of it was
// read.
type bounded struct {
	r    io.Reader
	left int64
}

// Read reads from below.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		_, _ = io.Copy(io.Discard, b.r)
		return 0, errFull
	}
	return n, err
}

// serveFiles serves the files of datastores to those who have logged in and
// may see or change them.
func (v *VCenter) serveFiles(w http.ResponseWriter, r *http.Request, next http.Handler) {
	user, ok := v.httpUser(r)
	if !ok {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	ds := v.datastoreNamed(r.URL.Query().Get("dsName"))
	if ds == nil {
		http.NotFound(w, r)
		return
	}
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	privilege := "Datastore.Browse"
	if write {
		privilege = "Datastore.FileManagement"
	}
	if !v.granted(v.own(context.WithoutCancel(r.Context())), user, ds.Self)[privilege] {
		http.Error(w, "missing privilege "+privilege+" on "+ds.Name, http.StatusForbidden)
		return
	}
	if write {
		room := v.room(&ds.Self)
		if r.ContentLength > room {
			noRoom(w, r)
			return
		}
		r.Body = readCloser{&bounded{r: r.Body, left: room}, r.Body}
	}
	next.ServeHTTP(w, r)
}

// httpUser returns whose session a request is of.
func (v *VCenter) httpUser(r *http.Request) (string, bool) {
	if name, password, ok := r.BasicAuth(); ok {
		return name, v.validLogin(&types.Login{UserName: name, Password: password})
	}
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return "", false
	}
	for _, s := range v.Sessions() {
		if s.Key == cookie.Value {
			return s.UserName, true
		}
	}
	return "", false
}
