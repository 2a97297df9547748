package packs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// The files of a pack that have a meaning of their own.
const (
	metaFile    = "pack.json"
	valuesFile  = "values.yaml"
	presetsFile = "presets.yaml"
	schemaFile  = "schema.yaml"
	logoFile    = "logo.png"
)

// What a pack may have. The largest public ones have a few hundred files, a few
// megabytes and 300 KiB of values. YAML takes two hundred times its size in memory
// when it is made to.
const (
	maxEntries  = 10_000
	maxSize     = 512 << 20 // bytes of all files together
	maxDocument = 1 << 20   // bytes of each file that is read here
)

// Errors of this package, to be matched with errors.Is.
var (
	// ErrInvalid: what was given is no pack, or none that can be carried.
	ErrInvalid = errors.New("not a usable pack")
	// ErrUnsafe: a name or a link leads out of the pack, or could.
	ErrUnsafe = errors.New("refused as unsafe")
)

// Pack is an opened pack. Its methods may be called from many goroutines.
type Pack struct {
	// Meta is what pack.json says.
	Meta Meta
	// Values is values.yaml as it is; nil when there is none.
	Values []byte
	// Presets are those of presets.yaml, in its order.
	Presets []Preset
	// Schema are the rules of schema.yaml, in its order.
	Schema []Rule

	root     *os.Root
	temp     string // folder to remove; "" when the pack is somebody's own folder
	files    []File
	problems []Problem // found while reading
}

// File is one file of a pack.
type File struct {
	Path string // below the pack, with slashes
	Size int64

	root *os.Root
}

// Open opens the file. The caller closes it.
func (f File) Open() (*os.File, error) { return f.root.Open(f.Path) }

// Open opens the pack at path, a folder or an archive. An archive is unpacked
// into a temporary folder, which Close removes. Open fails with ErrInvalid when
// the path holds no pack, with ErrUnsafe when a name or a link in it leads
// elsewhere, and with content.ErrTooLarge beyond the limits of a pack. What is
// merely wrong in a pack is told by Problems.
func Open(ctx context.Context, path string) (*Pack, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, problem.New(problem.Usage, "", "opening the pack: %w", err)
	}
	var p *Pack
	switch {
	case info.IsDir():
		var root *os.Root
		if root, err = os.OpenRoot(path); err == nil {
			p, err = open(root, "")
		}
	case info.Mode().IsRegular():
		p, err = fill(func(root *os.Root) error { return unpack(ctx, path, root) })
	default:
		err = fmt.Errorf("it is neither a folder nor a file: %w", ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", path, err)
	}
	return p, nil
}

// fill makes a temporary folder, has write put a pack into it and opens that.
func fill(write func(*os.Root) error) (*Pack, error) {
	temp, err := os.MkdirTemp("", "sealift-pack-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	if err := write(root); err != nil {
		return nil, errors.Join(err, root.Close(), os.RemoveAll(temp))
	}
	return open(root, temp)
}

// open reads the pack below root. It closes root and removes temp if it fails.
func open(root *os.Root, temp string) (*Pack, error) {
	p := &Pack{root: root, temp: temp}
	err := p.enterOnlyFolder()
	if err == nil {
		p.files, err = list(p.root)
	}
	if err == nil {
		err = p.read()
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends the use of the pack and removes what Open unpacked.
func (p *Pack) Close() error {
	err := p.root.Close()
	if p.temp != "" {
		err = errors.Join(err, os.RemoveAll(p.temp))
	}
	return err
}

// Name returns name and version, for people. What would move a terminal's
// cursor is left out of it.
func (p *Pack) Name() string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, p.Meta.Name+" "+p.Meta.Version)
}

// Files returns the files of the pack, sorted by path.
func (p *Pack) Files() []File { return slices.Clone(p.files) }

// enterOnlyFolder moves into the only folder of an unpacked archive when the
// pack is in there: many archives hold the folder, not its content.
func (p *Pack) enterOnlyFolder() error {
	if p.temp == "" {
		return nil
	}
	entries, err := fs.ReadDir(p.root.FS(), ".")
	if err != nil || len(entries) != 1 || !entries[0].IsDir() {
		return err
	}
	below, err := p.root.OpenRoot(entries[0].Name())
	if err != nil {
		return err
	}
	err = p.root.Close()
	p.root = below
	return err
}

// list returns the files below root, sorted by path.
func list(root *os.Root) ([]File, error) {
	var files []File
	entries, total := 0, int64(0)
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entries++; entries > maxEntries {
			return tooManyEntries()
		}
		if _, err := cleanName(name); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		info, err := regular(root, name, d)
		if err != nil {
			return err
		}
		if total += info.Size(); total > maxSize {
			return tooLarge()
		}
		files = append(files, File{Path: name, Size: info.Size(), root: root})
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files, err
}

// regular returns what is known of a file, or of the file of the pack that a
// link leads to.
func regular(root *os.Root, name string, d fs.DirEntry) (fs.FileInfo, error) {
	if d.Type().IsRegular() {
		return d.Info()
	}
	if d.Type()&fs.ModeSymlink == 0 {
		return nil, problem.New(problem.Failed, "take it out of the pack", "%s is neither file nor folder nor link: %w", name, ErrInvalid)
	}
	target, err := root.Readlink(name)
	if err != nil {
		return nil, err
	}
	const remedy = "put what it points to in its place"
	info, err := root.Stat(name) // os.Root does not leave the pack, and gives up on circles
	switch {
	case err != nil:
		return nil, problem.New(problem.Failed, remedy, "link %s -> %q leads out of the pack, in a circle or to nothing (%w): %w", name, target, cause(err), ErrUnsafe)
	case info.IsDir():
		return nil, problem.New(problem.Failed, remedy, "link %s -> %q leads to a folder: %w", name, target, ErrInvalid)
	case !info.Mode().IsRegular():
		return nil, problem.New(problem.Failed, remedy, "link %s -> %q leads to something that is no file: %w", name, target, ErrInvalid)
	}
	return info, nil
}

// cause returns the error of a file operation without operation and path.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func tooManyEntries() error {
	return fmt.Errorf("it has more than %d files and folders: %w", maxEntries, content.ErrTooLarge)
}

func tooLarge() error {
	return fmt.Errorf("its files have more than %d MiB together: %w", maxSize>>20, content.ErrTooLarge)
}

// read reads the files that have a meaning of their own.
func (p *Pack) read() error {
	meta, err := p.document(metaFile)
	if err != nil {
		return err
	}
	if meta == nil {
		return problem.New(problem.Failed, "name the folder or the archive that holds pack.json", "there is no pack.json: %w", ErrInvalid)
	}
	if err := p.readMeta(meta); err != nil {
		return err
	}
	if p.Values, err = p.document(valuesFile); err != nil {
		return err
	}
	presets, err := p.document(presetsFile)
	if err != nil {
		return err
	}
	p.readPresets(presets)
	schema, err := p.document(schemaFile)
	if err != nil {
		return err
	}
	p.readSchema(schema)
	return nil
}

// document returns the content of a file; nil when there is none.
func (p *Pack) document(name string) ([]byte, error) {
	i, ok := slices.BinarySearchFunc(p.files, name, func(f File, name string) int { return cmp.Compare(f.Path, name) })
	if !ok {
		return nil, nil
	}
	f, err := p.files[i].Open()
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s has more than %d MiB: %w", name, maxDocument>>20, content.ErrTooLarge)
	}
	return data, err
}

// has tells whether the pack has a file of this path.
func (p *Pack) has(name string) bool {
	_, ok := slices.BinarySearchFunc(p.files, name, func(f File, name string) int { return cmp.Compare(f.Path, name) })
	return ok
}

// Charts returns the paths of the pack's Helm charts, files or folders: those
// that pack.json names and that are there, in its order. When it names none,
// they are those in charts/, and a folder beside a packed chart of its name is
// the same chart and left out.
func (p *Pack) Charts() []string {
	if len(p.Meta.Charts) > 0 {
		return p.present(p.Meta.Charts, func(name string) bool { return p.has(name) || p.has(name+"/Chart.yaml") })
	}
	var packed, out []string
	for _, f := range p.files {
		if ok, _ := path.Match("charts/*.tgz", f.Path); ok {
			packed = append(packed, f.Path)
		}
	}
	out = append(out, packed...)
	for _, f := range p.files {
		folder := path.Dir(f.Path)
		if ok, _ := path.Match("charts/*/Chart.yaml", f.Path); ok && !slices.ContainsFunc(packed, func(tgz string) bool { return packedFrom(tgz, folder) }) {
			out = append(out, folder)
		}
	}
	return out
}

// packedFrom tells whether the packed chart charts/NAME[-VERSION].tgz is, by
// its name, that of the folder charts/NAME.
func packedFrom(tgz, folder string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(tgz, ".tgz"), folder)
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "-"), "v")
	return ok && (rest == "" || rest[0] >= '0' && rest[0] <= '9')
}

// Manifests returns the paths of the pack's Kubernetes manifests: those that
// pack.json names and that are there, in its order. When it names none, they
// are all YAML files below manifests/.
func (p *Pack) Manifests() []string {
	if len(p.Meta.KubeManifests) > 0 {
		return p.present(p.Meta.KubeManifests, p.has)
	}
	var out []string
	for _, f := range p.files {
		ext := path.Ext(f.Path)
		if strings.HasPrefix(f.Path, "manifests/") && (ext == ".yaml" || ext == ".yml") {
			out = append(out, f.Path)
		}
	}
	return out
}

// present returns those of the names that are there, each once.
func (p *Pack) present(names []string, there func(string) bool) []string {
	var out []string
	for _, name := range names {
		clean, err := cleanName(name)
		if err == nil && there(clean) && !slices.Contains(out, clean) {
			out = append(out, clean)
		}
	}
	return out
}

// FS returns the files of the pack as a file system.
func (p *Pack) FS() fs.FS { return p.root.FS() }
