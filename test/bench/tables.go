package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/test/bench/corpus"
)

// files of the corpus run, in the work folder.
const (
	definitionFile = "bundle.yaml"
	bundleFile     = "corpus.tar"
)

// corpusTables makes the bundle once and runs all races over it.
func (b *bench) corpusTables() error {
	text := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: corpus, version: 1.0.0}\nspec:\n  images:\n"
	for _, img := range corpus.List() {
		text += "    - " + b.upstream.host + "/" + img.Name + "\n"
	}
	if err := os.WriteFile(filepath.Join(b.work, definitionFile), []byte(text), 0o600); err != nil {
		return err
	}
	var u usage
	file, err := b.makeKeyFile()
	if err != nil {
		return err
	}
	token, err := b.makeToken()
	if err != nil {
		return err
	}
	if err := b.create(b.work, bundleFile, file, &u); err != nil {
		return err
	}
	blobs, total, err := b.blobs()
	if err != nil {
		return err
	}
	b.print("Content: %d images of real Debian packages, %d blobs, %s.\n", len(corpus.List()), len(blobs), humanize.IBytes(uint64(total)))
	if err := b.createTable(blobs, total, file, token); err != nil {
		return err
	}
	for _, table := range []func([]blob, int64) error{b.verifyTable, b.pushTable, b.serveTable} {
		if err := table(blobs, total); err != nil {
			return err
		}
	}
	return nil
}

// create makes the bundle, signed with one of the keys.
func (b *bench) create(dir, out string, k key, u *usage) error {
	return b.command(dir, u, k.program, "bundle", "create", "-f", filepath.Join(b.work, definitionFile), "-o", out,
		"--key", k.ref, "--plain-http", b.upstream.host, "--quiet")
}

func (b *bench) verify(dir string, u *usage) error {
	return b.command(dir, u, "sealift", "bundle", "verify", filepath.Join(b.work, bundleFile), "--key", filepath.Join(b.work, "cosign.pub"), "--quiet")
}

// blob is where a blob of the corpus can be had.
type blob struct {
	repository, digest, file string
	size                     int64
}

// blobs lists the blobs of the bundle and a repository that has each.
func (b *bench) blobs() (out []blob, total int64, err error) {
	path := filepath.Join(b.work, bundleFile)
	head, err := archive.Open(b.ctx, path, location.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer head.Close() //nolint:errcheck // opened for reading
	r, err := head.Unverified()
	if err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	for _, root := range r.Statement().Roots {
		repository, _, _ := strings.Cut(root.Resolved, "@")
		_, repository, _ = strings.Cut(repository, "/")
		err := archive.Walk(root, func(d descriptor) ([]byte, error) {
			_, data, err := r.Document(b.ctx, d.Digest)
			return data, err
		}, func(d descriptor, m *manifest, _ []byte) error {
			if m == nil && !seen[d.Digest.String()] {
				seen[d.Digest.String()] = true
				hex := d.Digest.Encoded()
				out = append(out, blob{repository: repository, digest: d.Digest.String(), size: d.Size,
					file: filepath.Join(b.cache, "upstream/docker/registry/v2/blobs/sha256", hex[:2], hex, "data")})
				total += d.Size
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return out, total, nil
}

// timed measures work inside of this process.
func timed(do func() error) (usage, error) {
	start := time.Now()
	err := do()
	return usage{wall: time.Since(start)}, err
}

// hashAll is one SHA-256 pass over all blobs on all cores.
func (b *bench) hashAll(blobs []blob) (usage, error) {
	return timed(func() error {
		return parallel(b.ctx, runtime.NumCPU(), blobs, func(_ context.Context, x blob) error {
			f, err := os.Open(x.file)
			if err != nil {
				return err
			}
			defer f.Close() //nolint:errcheck // opened for reading
			_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 1<<20))
			return err
		})
	})
}

// download reads all blobs from a registry to nowhere.
func (b *bench) download(host string, blobs []blob) (usage, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, ReadBufferSize: 64 << 10}}
	defer client.CloseIdleConnections()
	return timed(func() error {
		return parallel(b.ctx, 8, blobs, func(ctx context.Context, x blob) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/"+x.repository+"/blobs/"+x.digest, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close() //nolint:errcheck // opened for reading
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
			if err == nil && (n != x.size || resp.StatusCode != http.StatusOK) {
				err = fmt.Errorf("%s: %d, %d bytes", x.digest, resp.StatusCode, n)
			}
			return err
		})
	})
}

func parallel[T any](ctx context.Context, jobs int, items []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, item := range items {
		g.Go(func() error { return do(ctx, item) })
	}
	return g.Wait()
}

const (
	ours          = "sealift"
	oursWithToken = "sealift, the key in a PKCS#11 token (SoftHSM)"
	hashes        = "SHA-256 of all blobs, all cores"
	raw           = "download of all blobs to nowhere"
)

func (b *bench) createTable(blobs []blob, total int64, file, token key) error {
	contestants := []contestant{
		{name: hashes, do: func(string) (usage, error) { return b.hashAll(blobs) }},
		{name: raw, do: func(string) (usage, error) { return b.download(b.upstream.host, blobs) }},
		{name: ours, do: func(dir string) (u usage, err error) { return u, b.create(dir, "out.tar", file, &u) }},
		{name: oursWithToken, do: func(dir string) (u usage, err error) { return u, b.create(dir, "out.tar", token, &u) }},
	}
	for _, p := range peers() {
		contestants = append(contestants, contestant{name: p.name + ": " + p.pullText, do: func(dir string) (u usage, err error) { return u, p.pull(b, dir, &u) }})
	}
	got, err := b.race("create", contestants)
	if err != nil {
		return err
	}
	b.table("From a registry to a file: `bundle create`", contestants, got, total)
	floor := got[hashes].wall + got[raw].wall
	b.print("\nTo one hash pass plus the raw download: sealift **%.2f** with a key file, **%.2f** with a token. The difference is cosign's encryption of key files (scrypt), which takes a core as long for a bundle of any size. Peak disk to the size of the bundle: %.2f.\n",
		ratio(got[ours].wall, floor), ratio(got[oursWithToken].wall, floor), float64(got[ours].disk)/float64(max(b.bundleSize(), 1)))
	return nil
}

func (b *bench) bundleSize() int64 {
	info, err := os.Stat(filepath.Join(b.work, bundleFile))
	if err != nil {
		return 0
	}
	return info.Size()
}

// pushTable has each tool read a file that was read or written just before: the
// peers' is made there, ours is verified as before a push.
func (b *bench) pushTable(_ []blob, total int64) error {
	contestants := []contestant{{name: ours, prepare: func(dir string) error { var u usage; return b.verify(dir, &u) }, do: func(dir string) (u usage, err error) {
		return u, b.intoEmpty(dir, func(host string) error {
			return b.command(dir, &u, "sealift", "mirror", "push", filepath.Join(b.work, bundleFile), host, "--key", filepath.Join(b.work, "cosign.pub"), "--plain-http", host, "--quiet")
		})
	}}}
	for _, p := range peers() {
		contestants = append(contestants, contestant{name: p.name + ": " + p.pushText,
			prepare: func(dir string) error { var u usage; return p.separate()(b, dir, &u) },
			do: func(dir string) (u usage, err error) {
				return u, b.intoEmpty(dir, func(host string) error { return p.push(b, dir, host, &u) })
			}})
	}
	got, err := b.race("push", contestants)
	if err != nil {
		return err
	}
	b.table("From a file to an empty registry: `mirror push`", contestants, got, total)
	b.print("\nsealift's own CPU: **%.2f s a GiB**.\n", got[ours].cpu.Seconds()/(float64(total)/(1<<30)))
	return nil
}

// intoEmpty starts an empty registry for a push.
func (b *bench) intoEmpty(dir string, push func(host string) error) error {
	s, err := b.startRegistry(filepath.Join(dir, "empty"))
	if err != nil {
		return err
	}
	defer s.stop()
	return push(s.host)
}

func (b *bench) verifyTable(blobs []blob, total int64) error {
	contestants := []contestant{
		{name: hashes, do: func(string) (usage, error) { return b.hashAll(blobs) }},
		{name: ours, do: func(dir string) (u usage, err error) {
			return u, b.verify(dir, &u)
		}},
		{name: "sealift, `bundle inspect`", do: func(dir string) (u usage, err error) {
			return u, b.command(dir, &u, "sealift", "bundle", "inspect", filepath.Join(b.work, bundleFile))
		}},
	}
	got, err := b.race("verify", contestants)
	if err == nil {
		b.table("Every byte checked: `bundle verify`", contestants, got, total)
	}
	return err
}

func (b *bench) serveTable(blobs []blob, total int64) error {
	s, err := b.start("mirror", "serve", filepath.Join(b.work, bundleFile), "--key", filepath.Join(b.work, "cosign.pub"))
	if err != nil {
		return err
	}
	contestants := []contestant{
		{name: ours, do: func(string) (usage, error) { return b.download(s.host, blobs) }},
		{name: "distribution 3", do: func(string) (usage, error) { return b.download(b.upstream.host, blobs) }},
	}
	got, err := b.race("serve", contestants)
	took := s.stop()
	if err == nil {
		b.table("Every blob pulled, 8 at once: `mirror serve`", contestants, got, total)
		b.print("\nMost memory of `mirror serve`: %s.\n", humanize.IBytes(uint64(took.rss)))
	}
	return err
}

func ratio(a, c time.Duration) float64 { return a.Seconds() / max(c.Seconds(), 1e-9) }

// table prints a race; ratios are to sealift's time.
func (b *bench) table(title string, contestants []contestant, got map[string]usage, total int64) {
	b.print("\n## %s\n\n| | time | times sealift's | rate | CPU | most memory |\n|---|---:|---:|---:|---:|---:|\n", title)
	for _, c := range contestants {
		u, ok := got[c.name]
		if !ok {
			b.print("| %s | not here | | | | |\n", c.name)
			continue
		}
		cpu, memory := "", ""
		if u.rss > 0 {
			cpu, memory = fmt.Sprintf("%.2f s", u.cpu.Seconds()), humanize.IBytes(uint64(u.rss))
		}
		b.print("| %s | %.2f s | %.2f | %s/s | %s | %s |\n", c.name, u.wall.Seconds(), ratio(u.wall, got[ours].wall),
			humanize.IBytes(uint64(float64(total)/max(u.wall.Seconds(), 1e-9))), cpu, memory)
	}
}

// peer is another tool that brings images to a file and back.
type peer struct {
	name, pullText, pushText string
	pull                     func(b *bench, dir string, u *usage) error
	push                     func(b *bench, dir, host string, u *usage) error
	// apart pulls each image into a place of its own, where pull does not, so
	// that push has the same job as the others.
	apart func(b *bench, dir string, u *usage) error
}

// separate returns how the images are pulled for push.
func (p peer) separate() func(b *bench, dir string, u *usage) error {
	if p.apart != nil {
		return p.apart
	}
	return p.pull
}

// eachImage does one thing for every image; file is where the image is in dir.
func eachImage(do func(name, file string) error) error {
	for i, img := range corpus.List() {
		if err := do(img.Name, fmt.Sprintf("%02d.tar", i)); err != nil {
			return err
		}
	}
	return nil
}

func peers() []peer {
	return []peer{
		{"crane", "pull --format=oci", "push", func(b *bench, dir string, u *usage) error {
			args := []string{"pull", "--insecure", "--format=oci"}
			for _, img := range corpus.List() {
				args = append(args, b.upstream.host+"/"+img.Name)
			}
			return b.command(dir, u, "crane", append(args, "layout")...)
		}, func(b *bench, dir, host string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "crane", "push", "--insecure", file, host+"/"+name)
			})
		}, func(b *bench, dir string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "crane", "pull", "--insecure", "--format=oci", b.upstream.host+"/"+name, file)
			})
		}},
		{"regctl", "image export", "image import", func(b *bench, dir string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "regctl", "--host", "reg="+b.upstream.host+",tls=disabled", "image", "export", b.upstream.host+"/"+name, file)
			})
		}, func(b *bench, dir, host string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "regctl", "--host", "reg="+host+",tls=disabled", "image", "import", host+"/"+name, file)
			})
		}, nil},
		{"skopeo", "copy --all to oci-archive", "copy --all from oci-archive", func(b *bench, dir string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "skopeo", "copy", "--all", "--insecure-policy", "--src-tls-verify=false", "docker://"+b.upstream.host+"/"+name, "oci-archive:"+file)
			})
		}, func(b *bench, dir, host string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "skopeo", "copy", "--all", "--insecure-policy", "--dest-tls-verify=false", "oci-archive:"+file, "docker://"+host+"/"+name)
			})
		}, nil},
		{"oras", "backup", "restore", func(b *bench, dir string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "oras", "backup", "--plain-http", "--output", file, b.upstream.host+"/"+name)
			})
		}, func(b *bench, dir, host string, u *usage) error {
			return eachImage(func(name, file string) error {
				return b.command(dir, u, "oras", "restore", "--plain-http", "--input", file, host+"/"+name)
			})
		}, nil},
	}
}
