package resolve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// localHost is the host in references to what comes from no registry.
const localHost = "sealift.local"

// tagged returns a reference HOST/PATH:VERSION; a + cannot stand in a tag.
func tagged(host, path, version string) (string, error) {
	ref := host + "/" + path + ":" + strings.ReplaceAll(version, "+", "_")
	if _, err := reference.Parse(ref); err != nil {
		return "", problem.New(problem.Usage, "give it a name of lower-case letters, digits, '-', '_' and '.'", "it would have the reference %s: %w", ref, err)
	}
	return ref, nil
}

// place adds an artifact that was made here as a root.
func (it *item) place(kind, requested, ref string, a *artifact.Artifact, origin Origin) error {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return err
	}
	resolved := named.Name() + "@" + a.Descriptor.Digest.String()
	it.roots = append(it.roots, archive.Root{Kind: kind, Requested: requested, Reference: ref, Resolved: resolved, Descriptor: a.Descriptor, Platforms: []string{}})
	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	if err != nil {
		return err
	}
	it.blobs = append(it.blobs, Blob{Descriptor: a.Descriptor, Origins: []Origin{origin}, Data: a.Manifest})
	for _, d := range m.Children() {
		from := origin
		if _, held := a.Blobs[d.Digest]; held {
			from = Origin{Name: origin.Name, From: a}
		}
		it.blobs = append(it.blobs, Blob{Descriptor: content.Bare(d), Origins: []Origin{from}})
	}
	return nil
}

// Add adds an artifact that was made here as a further root, with the
// reference sealift.local/PATH:VERSION.
func (r *Result) Add(kind, path, version string, a *artifact.Artifact) error {
	ref, err := tagged(localHost, path, version)
	if err != nil {
		return err
	}
	it := &item{}
	if err := it.place(kind, path, ref, a, Origin{Name: path, From: a}); err != nil {
		return err
	}
	r.Roots = append(r.Roots, it.roots...)
	at := map[digest.Digest]int{}
	for i, b := range r.Blobs {
		at[b.Descriptor.Digest] = i
	}
	for _, b := range it.blobs {
		if err := r.add(at, b); err != nil {
			return err
		}
	}
	slices.SortFunc(r.Blobs, func(a, b Blob) int { return cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest) })
	return nil
}

// FetchFrom makes one place the origin of all content.
func (r *Result) FetchFrom(o Origin) {
	for i := range r.Blobs {
		r.Blobs[i].Origins = []Origin{o}
	}
}

// attachSettings adds the settings of a root as an artifact that refers to it.
func (it *item) attachSettings(s closure.Settings) error {
	if s.Empty() {
		return nil
	}
	subject := it.roots[0]
	a, err := s.Artifact(subject.Descriptor)
	if err != nil {
		return err
	}
	named, err := reference.ParseNormalizedNamed(subject.Reference)
	if err != nil {
		return err
	}
	ref := named.Name() + "@" + a.Descriptor.Digest.String()
	if err := it.place(archive.RootValues, "values of "+subject.Requested, ref, a, Origin{Name: "values of " + subject.Requested, From: a}); err != nil {
		return err
	}
	it.roots[len(it.roots)-1].Subject = subject.Descriptor.Digest
	return nil
}

// file resolves a file of this host. Its digest is the one of the definition,
// else of the lock, else it is read once to learn it; in any case it is
// checked when the file goes into the bundle.
func (s *session) file(ctx context.Context, f definition.File) (*item, error) {
	path := s.def.Path(f.Path)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		return nil, problem.New(problem.Usage, "", "file %s: %w", f.Path, err)
	}
	it := &item{}
	sum := f.SHA256
	locked, isLocked := s.opts.Lock.FindFile(f.Path)
	if sum == "" && isLocked && locked.Size == info.Size() && !s.opts.UpdateLock {
		sum = locked.SHA256
	}
	if sum == "" {
		if sum, err = s.hash(ctx, path, info.Size()); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Path, err)
		}
	}
	if isLocked && locked.SHA256 != sum {
		it.moved = append(it.moved, Moved{Reference: f.Path, Old: "sha256:" + locked.SHA256, New: "sha256:" + sum})
	}
	it.files = []definition.LockedFile{{Path: f.Path, SHA256: sum, Size: info.Size()}}
	layer := artifact.Elsewhere("application/octet-stream", filepath.Base(path), digest.NewDigestFromEncoded(digest.SHA256, sum), info.Size())
	a, err := artifact.New(artifact.TypeFile, []artifact.Layer{layer}, artifact.Options{})
	if err != nil {
		return nil, err
	}
	ref, err := tagged(localHost, "files/"+cmp.Or(f.Name, slug(filepath.Base(path))), cmp.Or(f.Version, s.def.Metadata.Version))
	if err == nil {
		err = it.place(archive.RootFile, f.Path, ref, a, Origin{Name: "file " + f.Path, From: localFile(path), Local: true})
	}
	if err != nil {
		return nil, problem.New(problem.Usage, "", "file %s: %w", f.Path, err)
	}
	return it, nil
}

func (s *session) hash(ctx context.Context, path string, size int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	phase := progress.OrNone(s.opts.Progress).Start("reading", size)
	defer phase.Done()
	task := phase.Task(filepath.Base(path), size)
	defer task.Done()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{progress.Reader(content.Until(ctx, f), task)}, buf); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// localFile is the path of a file that holds one blob.
type localFile string

// Fetch opens the file.
func (l localFile) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return l.FetchRange(ctx, d, 0, d.Size)
}

// FetchRange opens length bytes of the file from offset on.
func (l localFile) FetchRange(ctx context.Context, d content.Descriptor, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(string(l))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != d.Size {
		err = problem.New(problem.Failed, "let nobody change it while the bundle is made, then run the same command again",
			"it has %d bytes now, not %d: %w", info.Size(), d.Size, content.ErrMismatch)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return readCloser{content.Until(ctx, io.NewSectionReader(f, offset, length)), f}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// Limits of plain manifests.
const (
	maxManifestFiles = 10_000
	maxManifestFile  = 5 << 20
	maxManifestBytes = 100 << 20
)

// manifests resolves plain manifests: they travel as one artifact.
func (s *session) manifests(m definition.Manifests) (*item, error) {
	files, name, err := readManifests(s.def.Path(m.Path))
	if err != nil {
		return nil, fmt.Errorf("manifests %s: %w", m.Path, err)
	}
	it := &item{}
	if it.found, err = closure.Manifests(files); err != nil {
		return nil, fmt.Errorf("manifests %s: %w", m.Path, err)
	}
	var layers []artifact.Layer
	for _, file := range sortedNames(files) {
		layers = append(layers, artifact.Bytes("application/yaml", file, files[file]))
	}
	a, err := artifact.New(artifact.TypeManifests, layers, artifact.Options{})
	if err != nil {
		return nil, err
	}
	ref, err := tagged(localHost, "manifests/"+cmp.Or(m.Name, name, s.def.Metadata.Name), s.def.Metadata.Version)
	if err == nil {
		err = it.place(archive.RootManifests, m.Path, ref, a, Origin{Name: "manifests " + m.Path, From: a})
	}
	if err != nil {
		return nil, fmt.Errorf("manifests %s: %w", m.Path, err)
	}
	it.roots[0].Needs = closure.Needs(it.found)
	return it, nil
}

// readManifests reads the files of a pattern, and returns a name for them: that of the folder or of the only file.
func readManifests(pattern string) (closure.Files, string, error) {
	base, names, err := manifestFiles(pattern)
	if err != nil {
		return nil, "", err
	}
	if len(names) == 0 {
		return nil, "", problem.New(problem.Usage, "mend the path, or take the entry out", "no file fits the pattern: %w", fs.ErrNotExist)
	}
	files, total := closure.Files{}, 0
	for _, name := range names {
		data, err := content.ReadFile(filepath.Join(base, name), maxManifestFile)
		if err != nil {
			return nil, "", err
		}
		if total += len(data); total > maxManifestBytes || len(names) > maxManifestFiles {
			return nil, "", fmt.Errorf("more than %d files or %d bytes: %w", maxManifestFiles, maxManifestBytes, content.ErrTooLarge)
		}
		files[filepath.ToSlash(name)] = data
	}
	if len(names) == 1 {
		return files, slug(strings.TrimSuffix(names[0], filepath.Ext(names[0]))), nil
	}
	return files, slug(filepath.Base(base)), nil
}

// manifestFiles returns the files that a pattern names, below a folder.
func manifestFiles(pattern string) (base string, names []string, err error) {
	if info, err := os.Stat(pattern); err == nil && info.IsDir() {
		err := filepath.WalkDir(pattern, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
				name, relErr := filepath.Rel(pattern, path)
				names, err = append(names, name), relErr
			}
			return err
		})
		return pattern, names, err
	}
	paths, err := filepath.Glob(pattern)
	base = filepath.Dir(pattern)
	for strings.ContainsAny(base, "*?[") {
		base = filepath.Dir(base)
	}
	for _, path := range paths {
		if info, statErr := os.Stat(path); statErr != nil || !info.Mode().IsRegular() {
			continue
		}
		name, relErr := filepath.Rel(base, path)
		names, err = append(names, name), errors.Join(err, relErr)
	}
	return base, names, err
}

var notInNames = regexp.MustCompile(`[^a-z0-9.]+`)

// slug makes a name that a reference can hold out of a file's.
func slug(name string) string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-.")
}

func sortedNames(files closure.Files) []string {
	var names []string
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
