package packs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/packs"
)

// needs makes a pack with dependencies: of each, type, name, lowest and highest version.
func needs(name, version string, deps ...[4]string) *packs.Pack {
	p := &packs.Pack{Meta: packs.Meta{Name: name, Version: version, Layer: "addon"}}
	for _, d := range deps {
		p.Meta.Constraints.Dependencies = append(p.Meta.Constraints.Dependencies, packs.Dependency{Type: d[0], PackName: d[1], MinVersion: d[2], MaxVersion: d[3]})
	}
	return p
}

func TestSolve(t *testing.T) {
	const required, optional, not, upgrade = packs.DependencyRequired, packs.DependencyOptional, packs.DependencyNotSupported, packs.DependencyUpgrade
	for name, c := range map[string]struct {
		packs []*packs.Pack
		want  []string
	}{
		"nothing": {nil, nil},
		"all fit": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1.0", "2"}, [4]string{optional, "c", "9", ""}), needs("b", "2.9.0")}, nil},
		"missing": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1.29", ""}), needs("c", "1.0.0", [4]string{optional, "b", "", "1.31"})},
			[]string{"b: a 1.0.0 requires this pack, which is missing; what would fit: 1.29 to 1.31.x"}},
		"too old": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1.29", ""}), needs("b", "v1.28.4")},
			[]string{"b: version v1.28.4 does not fit: a 1.0.0 requires 1.29 or newer; what would fit: 1.29 or newer"}},
		"too new": {[]*packs.Pack{needs("a", "1.0.0", [4]string{optional, "b", "", "1.27.9"}), needs("b", "1.28.4")},
			[]string{"b: version 1.28.4 does not fit: a 1.0.0 takes 1.27.9 or older; what would fit: 1.27.9 or older"}},
		"a pre-release is older": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1.29.0", ""}), needs("b", "1.29.0-rc1")},
			[]string{"b: version 1.29.0-rc1 does not fit: a 1.0.0 requires 1.29.0 or newer; what would fit: 1.29.0 or newer"}},
		"a short maximum takes its patches": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "", "1.31"}), needs("b", "1.31.7+k3s1")}, nil},
		"not the next pre-release": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1", "1"}), needs("b", "2.0.0-rc1")},
			[]string{"b: version 2.0.0-rc1 does not fit: a 1.0.0 requires 1 to 1.x; what would fit: 1 to 1.x"}},
		"several want it": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "c", "1.2.0", "1.9.0"}), needs("b", "2.0.0", [4]string{optional, "c", "1.5.0", ""}), needs("c", "1.4.0")},
			[]string{"c: version 1.4.0 does not fit: b 2.0.0 takes 1.5.0 or newer; what would fit: 1.5.0 to 1.9.0"}},
		"nothing fits all": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "c", "2.0.0", ""}), needs("b", "2.0.0", [4]string{required, "c", "", "1.9"}), needs("c", "1.4.0")},
			[]string{"c: version 1.4.0 does not fit: a 1.0.0 requires 2.0.0 or newer; no version fits all of them"}},
		"not supported": {[]*packs.Pack{needs("a", "1.0.0", [4]string{not, "b", "1.0.0", "1.5.0"}, [4]string{optional, "b", "0.9", "3"}), needs("b", "1.5.0")},
			[]string{"b: version 1.5.0 does not fit: a 1.0.0 does not support 1.0.0 to 1.5.0; what would fit: 0.9 to 3.x, but not 1.0.0 to 1.5.0"}},
		"not supported, other version": {[]*packs.Pack{needs("a", "1.0.0", [4]string{not, "b", "1.0.0", "1.5.0"}), needs("b", "1.5.1")}, nil},
		"not supported at all": {[]*packs.Pack{needs("a", "1.0.0", [4]string{not, "b", "", ""}), needs("b", "1.5.1")},
			[]string{"b: version 1.5.1 does not fit: a 1.0.0 does not support any version; no version fits all of them"}},
		"supported ranges leave nothing": {[]*packs.Pack{needs("a", "1.0.0", [4]string{not, "b", "1.4.0", "2.1.0"}, [4]string{not, "b", "0.1.0", "1.5.0"}, [4]string{optional, "b", "1.0.0", "2.0.0"}), needs("b", "1.5.0")},
			[]string{"b: version 1.5.0 does not fit: a 1.0.0 does not support 1.4.0 to 2.1.0, a 1.0.0 does not support 0.1.0 to 1.5.0; no version fits all of them"}},
		"not a version": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "1", ""}), needs("b", "newest")},
			[]string{`b: "newest" is no semantic version: what other packs say of it cannot be checked`}},
		"twice": {[]*packs.Pack{needs("a", "1.0.0"), needs("b", "1.0.0"), needs("a", "2.0.0")},
			[]string{"a: the pack stands twice: 1.0.0 and 2.0.0; keep one"}},
		"circle": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "", ""}), needs("b", "1.0.0", [4]string{required, "c", "", ""}), needs("c", "1.0.0", [4]string{required, "a", "", ""}), needs("d", "1.0.0", [4]string{required, "a", "", ""})},
			[]string{"a: the packs require one another in a circle: a -> b -> c -> a"}},
		"circle of one": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "a", "", ""})},
			[]string{"a: the packs require one another in a circle: a -> a"}},
		"optional ones make no circle": {[]*packs.Pack{needs("a", "1.0.0", [4]string{required, "b", "", ""}), needs("b", "1.0.0", [4]string{optional, "a", "", ""})}, nil},
		"upgrade is not for this":      {[]*packs.Pack{needs("a", "1.0.0", [4]string{upgrade, "a", "3.0.0", ""}, [4]string{upgrade, "b", "3.0.0", ""}), needs("b", "1.0.0")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range packs.Solve(c.packs) {
				got = append(got, p.Where+": "+p.Text)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestSolveOfFolders(t *testing.T) {
	got := packs.Solve([]*packs.Pack{open(t, "testdata/lantern"), open(t, "testdata/keel"), open(t, "testdata/tide")})
	require.Empty(t, got)
	got = packs.Solve([]*packs.Pack{open(t, "testdata/lantern")})
	require.Equal(t, []packs.Problem{{Severity: packs.SeverityError, Where: "keel", Text: "lantern 2.4.0 requires this pack, which is missing; what would fit: 1.29 or newer"}}, got)
}

func TestLayerOfADependency(t *testing.T) {
	keel := needs("keel", "1.30.0")
	got := packs.Solve([]*packs.Pack{open(t, "testdata/lantern"), keel})
	require.Equal(t, []packs.Problem{{Severity: packs.SeverityWarning, Where: "keel", Text: "lantern 2.4.0 expects it in the layer k8s, it is in addon"}}, got)
}

func TestUpgrade(t *testing.T) {
	to := []*packs.Pack{open(t, "testdata/lantern")}
	require.Empty(t, packs.Upgrade(nil, to))
	require.Empty(t, packs.Upgrade([]*packs.Pack{needs("lantern", "2.3.9")}, to))
	require.Equal(t, []packs.Problem{{Severity: packs.SeverityError, Where: "lantern",
		Text: "lantern 2.4.0 cannot replace the installed lantern 1.9.0; what would fit: 2.0.0 to 2.4.0"}}, packs.Upgrade([]*packs.Pack{needs("lantern", "1.9.0")}, to))
	require.Equal(t, packs.SeverityWarning, packs.Upgrade([]*packs.Pack{needs("lantern", "old")}, to)[0].Severity)
}
