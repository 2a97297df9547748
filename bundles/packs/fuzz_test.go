package packs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is hidden comes back as it was, and what was printed can be parsed and
// printed to the same bytes.
func FuzzMacros(f *testing.F) {
	f.Add("a: {{.x}}\nb: \"{{ .y | default \\\"z\\\" }}\"\n")
	f.Add("a: SEALIFTMACRO0. {{ SEALIFTMACRO }} SEALIFTMACROx\n")
	f.Add("# c\n\na: &x {b: 1}\nc: {<<: *x}\nd: |\n  {{ e }}\n")
	f.Fuzz(func(t *testing.T, text string) {
		m := &macros{}
		require.Equal(t, text, m.show(m.hide(text)))
		top, err := m.parse([]byte(text))
		if err != nil {
			return
		}
		out, err := m.print(top)
		if err != nil {
			return
		}
		_, err = (&macros{}).parse(out)
		require.NoError(t, err, "%q", out)
	})
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"name": "x", "Version": 1, "constraints": {"dependencies": [{"packName": "y", "minVersion": "1.2"}, null, 3]}}`))
	f.Add([]byte("\ufeff{\"annotations\": {\"a\": [1]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &Pack{}
		if err := p.readMeta(data); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		p.Problems()
		Solve([]*Pack{p, p})
		Upgrade([]*Pack{p}, []*Pack{p})
	})
}

func FuzzRule(f *testing.F) {
	f.Add(`{{ required | format "${string:/^[a-z]{1,3}$/} - ${number:[1-9]}" | hints "a" "b" }}`, "abc - 3")
	f.Add("{{ format `${list:[a,b]}` | readonly }}", "a")
	f.Fuzz(func(_ *testing.T, rule, value string) {
		r, err := parseRule(rule)
		if err == nil && r.format != nil {
			r.format.check(value)
		}
	})
}
