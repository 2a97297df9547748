package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
)

type (
	descriptor = content.Descriptor
	manifest   = content.Manifest
)

// layerSize is the size of a generated layer.
const layerSize = 2 << 30

// generated is content that is made as it is read.
type generated struct{ seed uint64 }

const generatedBlock = 1 << 20

// ReadAt fills p with what is at off: blocks that differ in their first bytes.
func (g generated) ReadAt(p []byte, off int64) (int, error) {
	if off >= layerSize {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), layerSize-off))
	for i := 0; i < n; {
		block, at := (off+int64(i))/generatedBlock, (off+int64(i))%generatedBlock
		var head [16]byte
		binary.BigEndian.PutUint64(head[:], g.seed)
		binary.BigEndian.PutUint64(head[8:], uint64(block))
		m := int(min(int64(n-i), generatedBlock-at))
		clear(p[i : i+m])
		if at < int64(len(head)) {
			copy(p[i:i+m], head[at:])
		}
		i += m
	}
	var err error
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// generator is an upstream registry of one image with generated layers.
type generator struct {
	sections  map[string]func() io.ReadSeeker
	manifest  []byte
	desc      content.Descriptor
	totalSize int64
}

func newGenerator(ctx context.Context, total int64) (*generator, error) {
	n := max(1, int(total/layerSize))
	layers := make([]content.Descriptor, n)
	err := parallel(ctx, runtime.NumCPU(), indices(n), func(_ context.Context, i int) error {
		h := sha256.New()
		if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{io.NewSectionReader(generated{uint64(i)}, 0, layerSize)}, make([]byte, 1<<20)); err != nil {
			return err
		}
		layers[i] = content.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.NewDigest(digest.SHA256, h), Size: layerSize}
		return nil
	})
	if err != nil {
		return nil, err
	}
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	g := &generator{sections: map[string]func() io.ReadSeeker{}, totalSize: int64(n) * layerSize}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: layers,
		Config: content.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}}
	g.sections[m.Config.Digest.String()] = func() io.ReadSeeker { return strings.NewReader(string(config)) }
	for i, l := range layers {
		g.sections[l.Digest.String()] = func() io.ReadSeeker { return io.NewSectionReader(generated{uint64(i)}, 0, layerSize) }
	}
	g.manifest, err = json.Marshal(m)
	g.desc = content.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(g.manifest), Size: int64(len(g.manifest))}
	return g, err
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// ServeHTTP implements http.Handler.
func (g *generator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if strings.Contains(r.URL.Path, "/manifests/") && (last == "1" || last == g.desc.Digest.String()) {
		w.Header().Set("Content-Type", g.desc.MediaType)
		w.Header().Set("Docker-Content-Digest", g.desc.Digest.String())
		w.Header().Set("Content-Length", strconv.Itoa(len(g.manifest)))
		_, _ = w.Write(g.manifest)
		return
	}
	open, ok := g.sections[last]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, open())
}

// sink is a registry that takes everything and keeps nothing.
func sink(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", r.URL.Path+"session")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
		w.Header().Set("Location", r.URL.Path)
		w.Header().Set("Range", fmt.Sprintf("0-%d", n-1))
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// largeTable measures memory with a bundle that is much larger than it.
func (b *bench) largeTable(total int64) error {
	b.say("generating digests of " + humanize.IBytes(uint64(total)))
	g, err := newGenerator(b.ctx, total)
	if err != nil {
		return err
	}
	upstream, target := httptest.NewServer(g), httptest.NewServer(http.HandlerFunc(sink))
	defer upstream.Close()
	defer target.Close()
	host := strings.TrimPrefix(upstream.URL, "http://")
	text := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: large, version: 1.0.0}\nspec:\n  images: [" + host + "/large:1]\n"
	if err := os.WriteFile(filepath.Join(b.work, "large.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	file := filepath.Join(b.work, "large.tar")
	defer os.Remove(file) //nolint:errcheck // only room is lost
	b.print("\n## A bundle of %s\n\nMemory does not hold it: `bundle verify` reads most of it from the disk.\n\n| | time | CPU a GiB | most memory |\n|---|---:|---:|---:|\n", humanize.IBytes(uint64(g.totalSize)))
	row := func(name string, u usage) {
		b.print("| %s | %.2f s | %.2f s | %s |\n", name, u.wall.Seconds(), u.cpu.Seconds()/(float64(g.totalSize)/(1<<30)), humanize.IBytes(uint64(u.rss)))
	}
	key := filepath.Join(b.work, "cosign.pub")
	dark := strings.TrimPrefix(target.URL, "http://")
	for _, step := range []struct {
		name string
		args []string
	}{
		{"`bundle create`", []string{"bundle", "create", "-f", "large.yaml", "--lock", "large.lock", "-o", file, "--key", "cosign.key", "--plain-http", host, "--quiet"}},
		{"`bundle inspect`", []string{"bundle", "inspect", file}},
		{"`bundle verify`", []string{"bundle", "verify", file, "--key", key, "--quiet"}},
		{"`mirror push`, to a registry that keeps nothing", []string{"mirror", "push", file, dark, "--key", key, "--plain-http", dark, "--quiet"}},
	} {
		b.say("large: " + step.name)
		b.watching = true // it takes long enough not to matter
		var u usage
		if err := b.command(b.work, &u, "sealift", step.args...); err != nil {
			return err
		}
		row(step.name, u)
	}
	s, err := b.start("mirror", "serve", file, "--key", key)
	if err != nil {
		return err
	}
	var blobs []blob
	for d := range g.sections {
		size, _ := g.sections[d]().Seek(0, io.SeekEnd)
		blobs = append(blobs, blob{repository: "large", digest: d, size: size})
	}
	u, err := b.download(s.host, blobs)
	took := s.stop()
	u.cpu, u.rss = took.cpu, took.rss
	if err == nil {
		row("`mirror serve`, every blob pulled", u)
	}
	return err
}
