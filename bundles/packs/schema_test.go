package packs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/packs"
)

func TestSchemaIsRead(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Len(t, p.Schema, 8)
	r := p.Schema[0]
	require.Equal(t, "charts.lantern.replicas", r.Path)
	require.True(t, r.Required)
	require.False(t, r.ReadOnly)
	require.Equal(t, "${number:[1-9]}", r.Format)
	require.Equal(t, []string{"How many servers", "1 to 9"}, r.Hints)
	require.True(t, p.Schema[7].ReadOnly)
}

// The pack's own values have no password yet: that is a warning for its
// author, and an error for whoever uses it.
func TestRequiredValues(t *testing.T) {
	p := open(t, "testdata/lantern")
	const where = ": charts.lantern.adminPassword"
	require.Contains(t, p.Problems(), packs.Problem{Severity: packs.SeverityWarning, Where: "values.yaml" + where,
		Text: "is required and has no value here: whoever uses the pack must give it"})
	require.False(t, packs.HasErrors(p.Problems()))
	require.Equal(t, []packs.Problem{{Severity: packs.SeverityError, Where: "values" + where, Text: "is required"}}, p.CheckValues(p.Values))
}

func TestCheckValues(t *testing.T) {
	for name, c := range map[string]struct {
		rule, value string
		want        string // "" is good
	}{
		"string":                 {`format "${string}"`, "text", ""},
		"string, a number":       {`format "${string}"`, "12", ""},
		"string, a list":         {`format "${string}"`, "[a]", "is a list; it must be ${string}"},
		"string, regexp":         {`format "${string:/^([a-z0-9].*)$/}"`, "abc", ""},
		"string, other":          {`format "${string:/^[a-z]{1,3}$/}"`, "abcd", "does not match ^[a-z]{1,3}$; it must be"},
		"string, escape":         {`format "${string:/size=\d+/}"`, "size=150", ""},
		"number":                 {`format "${number}"`, "1.5", ""},
		"number, a word":         {`format "${number}"`, "many", "is not a number; it must be ${number}"},
		"number in range":        {`format "${number:[5000-5005]}"`, "5005", ""},
		"number out of range":    {`format "${number:[5000-5005]}"`, "5006", "is not within 5000 to 5005"},
		"number below":           {`format "${number:[-5-5]}"`, "-6", "is not within -5 to 5"},
		"number, regexp":         {`format "${number:/^(500[0-5])$/}"`, "5006", "does not match"},
		"number in quotes":       {`format "${number}"`, `"5"`, "stands in quotes"},
		"boolean":                {`format "${boolean}"`, "true", ""},
		"boolean, a number":      {`format "${boolean}"`, "1", "is neither true nor false"},
		"boolean in quotes":      {`format "${boolean}"`, `"true"`, "stands in quotes"},
		"password":               {`format "${password}"`, "secret", ""},
		"list":                   {`format "${list:[PACK,GIT, CHART]}"`, "CHART", ""},
		"list, other":            {`format "${list:[PACK,GIT]}"`, "SVN", "is none of PACK, GIT"},
		"list of a list":         {`format "${list:[a,b]}"`, "[a, b]", ""},
		"list of a list, other":  {`format "${list:[a,b]}"`, "[a, c]", "is none of a, b"},
		"ipv4":                   {`format "${ipv4}"`, "10.0.0.1", ""},
		"ipv4, version 6":        {`format "${ipv4}"`, "'::1'", "is not an IPv4 address"},
		"ipv4, too long":         {`format "${ipv4}"`, "10.0.0.1.2", "is not an IPv4 address"},
		"version":                {`format "${version}"`, "1.2.3-rc1", ""},
		"version, other":         {`format "${version}"`, "newest", "is not a version"},
		"text between":           {`format "${ipv4} - ${ipv4}"`, "10.0.0.1 - 10.0.0.9", ""},
		"text between, lacking":  {`format "${ipv4} - ${ipv4}"`, "10.0.0.1-10.0.0.9", "does not have the form"},
		"text between, bad part": {`format "${ipv4} - ${ipv4}"`, "10.0.0.1 - 10.0.0.999", "part 2 is not an IPv4 address"},
		"parts":                  {`format "${string}, ${string:/size=\d+/}"`, "'type-zeroedthick, size=150'", ""},
		"parts, other":           {`format "${string}, ${string:/size=\d+/}"`, "'type-zeroedthick, size=s'", "part 2 does not match"},
		"fixed text":             {`format "always"`, "never", "does not have the form"},
		"backquotes":             {"format `${number}`", "1", ""},
		"empty":                  {`format "${number}"`, `""`, ""},
		"null":                   {`format "${number}"`, "", ""},
		"required, empty":        {`required`, `""`, "is required"},
		"required, no items":     {`required`, "[]", "is required"},
		"macro":                  {`required | format "${number}"`, "{{ .spectro.var.port }}", ""},
		"macro within":           {`format "${ipv4}"`, `"10.0.0.{{ .spectro.var.last }}"`, ""},
		"read-only":              {"readonly", "changed", "is read-only"},
		"read-only, same":        {"readonly", "'own' # really", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pack(t, map[string]string{"values.yaml": "a: {b: own}\n", "schema.yaml": "a.b:\n  schema: >-\n    {{ " + c.rule + " }}\n"})
			require.Len(t, p.Schema, 1, "%v", p.Problems())
			got := p.CheckValues([]byte("a:\n  b: " + c.value + "\n"))
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, "values: a.b", got[0].Where)
			require.Contains(t, got[0].Text, c.want)
		})
	}
}

func TestCheckEachItem(t *testing.T) {
	p := open(t, "testdata/lantern")
	got := p.CheckValues([]byte("pack: {namespace: lantern}\ncharts: {lantern: {replicas: 12, adminPassword: short, logLevel: loud, pools: [10.0.0.1 - 10.0.0.2, all], ingress: {enabled: maybe}}}"))
	var text string
	for _, g := range got {
		require.Equal(t, packs.SeverityError, g.Severity)
		text += g.Where + " " + g.Text + "\n"
	}
	require.Equal(t, `values: charts.lantern.adminPassword does not match ^.{8,}$; it must be ${password:/^.{8,}$/}
values: charts.lantern.ingress.enabled is neither true nor false; it must be ${boolean}
values: charts.lantern.logLevel is none of debug, info, error; it must be ${list:[debug,info,error]}
values: charts.lantern.pools.$[] does not have the form; it must be ${ipv4} - ${ipv4}
values: charts.lantern.replicas is not within 1 to 9; it must be ${number:[1-9]}
`, text)
	require.NotContains(t, text, "short", "a password is never shown")
	got = p.CheckValues([]byte("charts: ["))
	require.True(t, packs.HasErrors(got))
}

// A schema violation of the pack's own values is an error.
func TestOwnValuesViolateTheSchema(t *testing.T) {
	p := pack(t, map[string]string{"values.yaml": "port: high\n", "schema.yaml": "port: {schema: '{{ required | format \"${number:[1-65535]}\" }}'}\n"})
	require.Equal(t, []packs.Problem{{Severity: packs.SeverityError, Where: "values.yaml: port", Text: "is not a number; it must be ${number:[1-65535]}"}}, p.Problems())
}
