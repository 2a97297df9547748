// Package depcheck holds the arrows of the module: which package may import
// which. Its test reads the imports of the whole module with the Go tool and
// fails for every edge that points the wrong way.
//
// A layer is a folder at the top level. The layers stand above one another,
//
//	cmd -> {systemconsole, installer} -> mirror -> bundles -> internal
//
// and a package imports from its own layer or from those below. manifests lies
// at the bottom and imports nothing; test lies outside: it may look at
// everything but the commands, and only tests may look at it.
package depcheck

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path of the module whose arrows are held.
const Module = "github.com/sealift/sealift"

// Edge is one package importing another.
type Edge struct {
	From, To string
	// Test: only tests of From have the import.
	Test bool
	// Through: From does not import To itself but depends on it.
	Through bool
}

// below returns the layers that a layer may import besides itself; ok is
// false for a layer that is not known.
func below(layer string) (layers []string, ok bool) {
	switch layer {
	case "internal", "manifests":
		return nil, true
	case "bundles":
		return []string{"internal", "manifests"}, true
	case "mirror":
		return []string{"bundles", "internal", "manifests"}, true
	case "installer", "systemconsole":
		return []string{"mirror", "bundles", "internal", "manifests"}, true
	case "cmd", "test":
		return []string{"systemconsole", "installer", "mirror", "bundles", "internal", "manifests"}, true
	default:
		return nil, false
	}
}

// Check returns why an edge must not be, or nothing.
func Check(e Edge) string {
	if reason := checkThrough(e); reason != "" {
		return reason
	}
	if e.Through {
		return ""
	}
	from, to := layer(e.From), layer(e.To)
	if to == "" {
		return checkForeign(e)
	}
	layers, ok := below(from)
	if !ok {
		return fmt.Sprintf("%s is no layer that the architecture knows", from)
	}
	switch {
	case to == "test":
		return checkTest(e, from)
	case to == "cmd":
		return checkCommand(e, from)
	case testSupport(e.To) && !e.Test && !testSupport(e.From) && from != "test":
		return fmt.Sprintf("%s is for tests only", e.To)
	case from != to && !slices.Contains(layers, to):
		return fmt.Sprintf("%s must not know %s", from, to)
	default:
		return ""
	}
}

func checkTest(e Edge, from string) string {
	if from == "test" || e.Test {
		return ""
	}
	return "code must not import what lies under test"
}

// checkCommand lets a command be made of several packages, and lets a test run
// a command line inside of its own process.
func checkCommand(e Edge, from string) string {
	if from == "cmd" && command(e.From) == command(e.To) {
		return ""
	}
	if from == "test" && e.Test {
		return ""
	}
	return "nothing imports a command"
}

// checkForeign judges imports from outside of the module.
func checkForeign(e Edge) string {
	leaf := layer(e.From) == "internal" || layer(e.From) == "manifests"
	if leaf && !e.Test && !standard(e.To) {
		return layer(e.From) + " uses the standard library only"
	}
	return ""
}

// checkThrough judges what a package depends on at any distance.
func checkThrough(e Edge) string {
	if e.Test {
		return ""
	}
	switch layer(e.From) {
	case "bundles", "mirror":
	default:
		return ""
	}
	if e.Through && rendersCharts(e.From) {
		return "" // Helm itself depends on them
	}
	if strings.HasPrefix(e.To, "k8s.io/") || strings.HasPrefix(e.To, "sigs.k8s.io/controller-runtime") {
		return "bundles and mirror work without Kubernetes' libraries"
	}
	return ""
}

// rendersCharts tells whether a package may depend on Helm: charts does, and
// so does what stands above it within bundles. Reading, verifying and pushing a
// bundle need none of it.
func rendersCharts(importPath string) bool {
	return slices.Contains([]string{"bundles", "bundles/charts", "bundles/closure", "bundles/resolve"}, strings.TrimPrefix(importPath, Module+"/"))
}

// layer returns the top-level folder of a package of the module, or nothing.
func layer(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, Module+"/")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// command returns the name of the command that a package below cmd belongs to.
func command(importPath string) string {
	rest := strings.TrimPrefix(importPath, Module+"/cmd/")
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// testSupport tells whether a package helps tests, as contenttest does.
func testSupport(importPath string) bool {
	return strings.HasSuffix(path.Base(importPath), "test")
}

// standard tells whether a package belongs to the standard library: the first
// element of every other path has a dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
