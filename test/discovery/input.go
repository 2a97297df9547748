package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/discovery"
)

// input is one chart, pack or set of manifests, and what was found by hand in it.
type input struct {
	Name string `json:"-"`

	// Group is first for inputs that were seen while the rules were written,
	// second for those that were not, third for those that were taken when the
	// second had taught something.
	Group string `json:"group"`

	// One of these says where it is.
	Module string `json:"module"` // PATH@VERSION
	Pack   string `json:"pack"`   // NAME-VERSION
	Folder string `json:"folder"` // OWNER+NAME, at Commit
	Commit string `json:"commit"`

	Paths  []string       `json:"paths"`  // of charts and manifests in it; none: all of it
	Values map[string]any `json:"values"` // for its charts
	Plain  bool           `json:"plain"`  // read manifests as they are, and skip what cannot be read
	Stubs  bool           `json:"stubs"`  // charts that it depends on, and that its values turn off, are left out
	Quick  bool           `json:"quick"`  // a small module, which the test may fetch
	Note   string         `json:"note"`

	Images  []string `json:"images"`  // that it names, and that are pulled
	Unnamed []string `json:"unnamed"` // that are pulled, but named nowhere in it
}

// errNotHere means: an input cannot be had without a folder that was not given.
var errNotHere = errors.New("no folder was given for it")

// load reads all lists in a folder.
func load(folder string) ([]input, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no lists in %s", folder))
	}
	var out []input
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		in := input{Name: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		if err := yaml.UnmarshalStrict(data, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, in)
	}
	return out, nil
}

// look returns what is discovered in the input, without what a pack's authors list.
func (in input) look(ctx context.Context, r roots) (discovery.Report, error) {
	root, err := in.root(ctx, r)
	if err != nil {
		return discovery.Report{}, err
	}
	paths := in.Paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var report discovery.Report
	for _, path := range paths {
		found, err := in.lookAt(ctx, filepath.Join(root, path))
		if err != nil {
			return report, err
		}
		report = report.Merge(found)
	}
	report.Found = slices.DeleteFunc(report.Found, func(f discovery.Finding) bool { return f.Rule == "pack-content" })
	return report, nil
}

func (in input) lookAt(ctx context.Context, path string) (discovery.Report, error) {
	if in.Plain {
		return lookPlainly(path)
	}
	var values []byte
	if in.Values != nil {
		var err error
		if values, err = yaml.Marshal(in.Values); err != nil {
			return discovery.Report{}, err
		}
	}
	if in.Stubs {
		return lookWithStubs(ctx, path, values)
	}
	var opts closure.PathOptions
	if values != nil {
		file, err := os.CreateTemp("", "values-*.yaml")
		if err != nil {
			return discovery.Report{}, err
		}
		defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
		_, err = file.Write(values)
		if err := errors.Join(err, file.Close()); err != nil {
			return discovery.Report{}, err
		}
		opts.Values = []string{file.Name()}
	}
	return closure.Path(ctx, path, opts)
}

// lookPlainly reads the manifests below path one by one, whatever else is there.
func lookPlainly(path string) (discovery.Report, error) {
	var report discovery.Report
	err := filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(at) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		found, err := discovery.Documents([]discovery.Document{{Source: at, Data: data}})
		report = report.Merge(found)
		if errors.Is(err, discovery.ErrUnreadable) {
			return nil
		}
		return err
	})
	return report, err
}

// lookWithStubs looks through a chart with empty charts in place of those that
// it depends on and that are not here.
func lookWithStubs(ctx context.Context, path string, values []byte) (discovery.Report, error) {
	c, err := charts.Load(path)
	if err != nil {
		return discovery.Report{}, err
	}
	var stubs []*charts.Chart
	for _, d := range c.Missing() {
		version := strings.ReplaceAll(d.Version, "*", "0")
		stub, err := charts.LoadFS(fstest.MapFS{"Chart.yaml": {Data: fmt.Appendf(nil, "apiVersion: v2\nname: %q\nversion: %q\n", d.Name, version)}})
		if err != nil {
			return discovery.Report{}, err
		}
		stubs = append(stubs, stub)
	}
	if c, err = c.With(stubs); err != nil {
		return discovery.Report{}, err
	}
	return closure.Chart(ctx, c, closure.Settings{Sets: []closure.Set{{YAML: values}}}, false)
}

// root returns the folder of the input.
func (in input) root(ctx context.Context, r roots) (string, error) {
	switch {
	case in.Module != "":
		return downloaded(ctx, in.Module)
	case in.Pack != "" && r.packs != "":
		return existing(filepath.Join(r.packs, in.Pack))
	case in.Folder != "" && r.folders != "":
		return existing(filepath.Join(r.folders, in.Folder))
	default:
		return "", errNotHere
	}
}

func existing(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", path, errNotHere)
	}
	return path, nil
}

// downloaded has the go command fetch a module and returns its folder. It runs
// outside of this module, whose requirements must not change.
func downloaded(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if decoded := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); decoded != nil || answer.Error != "" {
		return "", fmt.Errorf("downloading %s: %s: %w", module, answer.Error, errors.Join(err, decoded))
	}
	return answer.Dir, err
}
