package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// AssetPrefix is where the files below static are served.
const AssetPrefix = "/assets/"

// assets are the files below static by their checksummed addresses.
type assets struct {
	urls  map[string]string // file to address
	files map[string]string // address to file
}

// newAssets gives all files one checksum, so that one that names another (the
// style its typeface) finds it beside itself.
func newAssets() (*assets, error) {
	a := &assets{urls: map[string]string{}, files: map[string]string{}}
	sum := sha256.New()
	var names []string
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		names = append(names, name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the static files: %w", err)
	}
	for _, name := range names {
		file := strings.TrimPrefix(name, "static/")
		url := AssetPrefix + hex.EncodeToString(sum.Sum(nil)[:8]) + "/" + file
		a.urls[file], a.files[url] = url, name
	}
	return a, nil
}

// url returns the address of a file below static; templates call it "asset".
func (a *assets) url(file string) (string, error) {
	url, ok := a.urls[file]
	if !ok {
		return "", fmt.Errorf("there is no file static/%s", file)
	}
	return url, nil
}

// ServeAsset serves a file below static, or tells that there is none of this
// address. Nothing but the addresses that templates name is served.
func (r *Renderer) ServeAsset(w http.ResponseWriter, req *http.Request) bool {
	name, ok := r.assets.files[req.URL.Path]
	if !ok {
		return false
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, req, files, name)
	return true
}
