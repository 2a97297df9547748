package depcheck_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/depcheck"
)

// root is the folder of the module, seen from this package.
const root = "../.."

func TestEveryArrowPointsDown(t *testing.T) {
	for _, tags := range []string{"", "pkcs11key"} {
		edges := moduleEdges(t, tags)
		require.NotEmpty(t, edges)
		for _, e := range edges {
			if reason := depcheck.Check(e); reason != "" {
				t.Errorf("%s -> %s: %s", e.From, e.To, reason)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	const m = depcheck.Module + "/"
	for name, c := range map[string]struct {
		edge depcheck.Edge
		bad  bool
	}{
		"cmd to mirror":                      {depcheck.Edge{From: m + "cmd/sealift/cli", To: m + "mirror"}, false},
		"cmd to its own package":             {depcheck.Edge{From: m + "cmd/sealift", To: m + "cmd/sealift/cli"}, false},
		"cmd to another command":             {depcheck.Edge{From: m + "cmd/systemconsole", To: m + "cmd/sealift/cli"}, true},
		"mirror to bundles":                  {depcheck.Edge{From: m + "mirror", To: m + "bundles/archive"}, false},
		"bundles to mirror":                  {depcheck.Edge{From: m + "bundles/resolve", To: m + "mirror/registry"}, true},
		"tests of bundles to mirror":         {depcheck.Edge{From: m + "bundles/resolve", To: m + "mirror/registry", Test: true}, true},
		"mirror to installer":                {depcheck.Edge{From: m + "mirror", To: m + "installer/site"}, true},
		"installer to mirror":                {depcheck.Edge{From: m + "installer/steps", To: m + "mirror"}, false},
		"systemconsole to installer":         {depcheck.Edge{From: m + "systemconsole", To: m + "installer/steps"}, true},
		"installer to systemconsole":         {depcheck.Edge{From: m + "installer", To: m + "systemconsole"}, true},
		"internal to bundles":                {depcheck.Edge{From: m + "internal/durable", To: m + "bundles/content"}, true},
		"internal to another module":         {depcheck.Edge{From: m + "internal/durable", To: "golang.org/x/sys/unix"}, true},
		"internal to the standard library":   {depcheck.Edge{From: m + "internal/durable", To: "encoding/json"}, false},
		"tests of internal to testify":       {depcheck.Edge{From: m + "internal/durable", To: "github.com/stretchr/testify/require", Test: true}, false},
		"manifests to internal":              {depcheck.Edge{From: m + "manifests", To: m + "internal/durable"}, true},
		"anything to manifests":              {depcheck.Edge{From: m + "bundles", To: m + "manifests"}, false},
		"code to test":                       {depcheck.Edge{From: m + "mirror", To: m + "test/vectors"}, true},
		"tests to test":                      {depcheck.Edge{From: m + "mirror", To: m + "test/vectors", Test: true}, false},
		"code to test support":               {depcheck.Edge{From: m + "mirror", To: m + "bundles/content/contenttest"}, true},
		"test support to test support":       {depcheck.Edge{From: m + "bundles/archive/archivetest", To: m + "bundles/content/contenttest"}, false},
		"a test program to a command":        {depcheck.Edge{From: m + "test/demo", To: m + "cmd/sealift/cli"}, true},
		"a script test to a command":         {depcheck.Edge{From: m + "test/script", To: m + "cmd/sealift/cli", Test: true}, false},
		"bundles to a command":               {depcheck.Edge{From: m + "bundles", To: m + "cmd/sealift/cli"}, true},
		"a layer that nobody knows":          {depcheck.Edge{From: m + "pkg/util", To: m + "internal/durable"}, true},
		"bundles to Kubernetes":              {depcheck.Edge{From: m + "bundles/resolve", To: "k8s.io/api/core/v1"}, true},
		"mirror to Kubernetes, from afar":    {depcheck.Edge{From: m + "mirror", To: "k8s.io/client-go/rest", Through: true}, true},
		"charts to Kubernetes, through Helm": {depcheck.Edge{From: m + "bundles/charts", To: "k8s.io/client-go/rest", Through: true}, false},
		"charts to Kubernetes":               {depcheck.Edge{From: m + "bundles/charts", To: "k8s.io/client-go/rest"}, true},
		"archive to Kubernetes, from afar":   {depcheck.Edge{From: m + "bundles/archive", To: "k8s.io/client-go/rest", Through: true}, true},
		"bundles to YAML":                    {depcheck.Edge{From: m + "bundles/definition", To: "sigs.k8s.io/yaml"}, false},
		"installer to Kubernetes":            {depcheck.Edge{From: m + "installer/steps", To: "k8s.io/client-go/rest"}, false},
		"bundles, from afar, to a registry":  {depcheck.Edge{From: m + "bundles", To: "github.com/google/go-containerregistry/pkg/v1", Through: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.bad, depcheck.Check(c.edge) != "", depcheck.Check(c.edge))
		})
	}
}

// moduleEdges returns every import and every dependency of the module.
func moduleEdges(t *testing.T, tags string) []depcheck.Edge {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags="+tags,
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps,Error", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())

	var edges []depcheck.Edge
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath                               string
			Imports, TestImports, XTestImports, Deps []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return edges
		}
		require.NoError(t, err)
		for _, to := range p.Imports {
			edges = append(edges, depcheck.Edge{From: p.ImportPath, To: to})
		}
		for _, to := range slices.Concat(p.TestImports, p.XTestImports) {
			if to != p.ImportPath {
				edges = append(edges, depcheck.Edge{From: p.ImportPath, To: to, Test: true})
			}
		}
		for _, to := range p.Deps {
			edges = append(edges, depcheck.Edge{From: p.ImportPath, To: to, Through: true})
		}
	}
}

func TestTopLevel(t *testing.T) {
	allowed := []string{"cmd", "mirror", "installer", "systemconsole", "manifests", "bundles", "test", "internal", "docs",
		"go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "CHANGELOG.md",
		"bin", "screenshots"} // made by make, not kept in git
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			require.Contains(t, allowed, e.Name(), "the top level holds only what the architecture names")
		}
	}
}

func TestMainIsShort(t *testing.T) {
	const limit = 40
	mains, err := filepath.Glob(filepath.Join(root, "cmd", "*", "main.go"))
	require.NoError(t, err)
	require.NotEmpty(t, mains)
	for _, path := range mains {
		lines, _ := countLines(t, path)
		require.LessOrEqual(t, lines, limit, "%s: main sets up signals, executes and exits; the rest belongs elsewhere", path)
	}
}

func TestLongFilesSayWhy(t *testing.T) {
	const limit = 500
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		lines, reason := countLines(t, path)
		if lines > limit && !reason {
			t.Errorf("%s has %d lines: split it, or say why not in a line that begins with \"// large: \"", path, lines)
		}
		return nil
	})
	require.NoError(t, err)
	require.Positive(t, seen)
}

// countLines counts the lines of a file and tells whether it states why it is
// as long as it is.
func countLines(t *testing.T, path string) (lines int, reason bool) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines++
		if why, ok := strings.CutPrefix(s.Text(), "// large: "); ok && strings.TrimSpace(why) != "" {
			reason = true
		}
	}
	require.NoError(t, s.Err())
	return lines, reason
}
