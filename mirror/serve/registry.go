package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd" // the access controller for Htpasswd
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage of Data
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/problem"
)

// RegistryOptions is how a writable registry is run.
type RegistryOptions struct {
	Data     string // folder for the content; it is made
	Htpasswd string // file of users, bcrypt only; "" means that everybody may do everything
}

// ErrBusy means: another process serves the same folder.
var ErrBusy = errors.New("another process serves this folder")

// Registry returns a writable registry on a folder: the distribution project's
// own. close releases the folder.
func Registry(ctx context.Context, opts RegistryOptions) (h http.Handler, closeRegistry func() error, err error) {
	lock, err := lockFolder(opts.Data)
	if err != nil {
		return nil, nil, err
	}
	config, err := registryConfig(opts)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	app, err := newApp(ctx, config)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return app, func() error { return errors.Join(app.Shutdown(), lock.Close()) }, nil
}

// newApp turns the library's panics about its configuration into errors.
func newApp(ctx context.Context, config *configuration.Configuration) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("starting the registry: %v", p)
		}
	}()
	quiet()
	return handlers.NewApp(ctx, config), nil
}

// quiet makes the library say only what an administrator has to know: it logs
// through logrus' standard logger and offers no other way.
func quiet() {
	logrus.SetLevel(logrus.ErrorLevel)
	logrus.SetFormatter(serverErrors{&logrus.TextFormatter{}})
}

// lockFolder makes the folder, and keeps a second process out of it.
func lockFolder(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the registry's folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening the registry's folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = problem.New(problem.Failed, "stop it, or choose another --data", "%s: %w", dir, ErrBusy)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// registryConfig is the library's configuration. Indexes may name manifests
// that are not there: a bundle carries only the platforms that a site needs.
func registryConfig(opts RegistryOptions) (*configuration.Configuration, error) {
	data, err := filepath.Abs(opts.Data)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  redirect: {disable: true}
validation: {manifests: {indexes: {platforms: none}}}
catalog: {maxentries: 1000}
`, data)
	if opts.Htpasswd != "" {
		if err := checkHtpasswd(opts.Htpasswd); err != nil {
			return nil, err
		}
		path, err := filepath.Abs(opts.Htpasswd)
		if err != nil {
			return nil, err
		}
		text += fmt.Sprintf("auth: {htpasswd: {realm: sealift, path: %q}}\n", path)
	}
	return configuration.Parse(strings.NewReader(text))
}

// serverErrors tells of requests that failed by a fault of this side. It leaves
// out what the library calls errors and are none: answers such as "not found",
// which every push asks for, and clients that went away.
type serverErrors struct{ logrus.Formatter }

// Format implements logrus.Formatter.
func (f serverErrors) Format(e *logrus.Entry) ([]byte, error) {
	method, ofRequest := e.Data["http.request.method"]
	if !ofRequest {
		return f.Formatter.Format(e)
	}
	status, answered := e.Data["http.response.status"].(int)
	detail := fmt.Sprint(e.Data["err.detail"])
	if !answered || status < http.StatusInternalServerError || detail == "client disconnected" {
		return nil, nil
	}
	uri, _, _ := strings.Cut(fmt.Sprint(e.Data["http.request.uri"]), "?") // the query holds the session's secret
	return fmt.Appendf(nil, "registry: %s %s failed with %d: %s\n", method, uri, status, detail), nil
}
