package upgrade_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/upgrade"
)

func values(t testing.TB, text string) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	return out
}

func TestCompare(t *testing.T) {
	before := `{"replicas": 2, "image": {"tag": "1"}, "nodeSelector": {"a/b~c": ""}, "same": [1, 2], "gone": true, "size": {"cpus": 4}}`
	live := `{"replicas": 3, "image": {"tag": "1"}, "nodeSelector": {"a/b~c": "x"}, "same": [1, 2], "gone": true, "own": {"x": 1}, "size": {"cpus": 8}, "both": 7}`
	after := `{"replicas": 2, "image": {"tag": "2"}, "nodeSelector": {}, "same": [1, 2], "size": {"cpus": 6}, "both": 7}`
	got, err := upgrade.Compare(values(t, before), values(t, live), values(t, after))
	require.NoError(t, err)
	require.Equal(t, []upgrade.Setting{
		{Path: "/both", Live: "7", After: "7", Outcome: upgrade.Agreed},
		{Path: "/gone", Before: "true", Live: "true", Outcome: upgrade.Taken},
		{Path: "/image/tag", Before: `"1"`, Live: `"1"`, After: `"2"`, Outcome: upgrade.Taken},
		{Path: "/nodeSelector/a~1b~0c", Before: `""`, Live: `"x"`, Outcome: upgrade.Conflict},
		{Path: "/own/x", Live: "1", Outcome: upgrade.Kept},
		{Path: "/replicas", Before: "2", Live: "3", After: "2", Outcome: upgrade.Kept},
		{Path: "/size/cpus", Before: "4", Live: "8", After: "6", Outcome: upgrade.Conflict},
	}, got)

	_, err = upgrade.Merge(values(t, before), values(t, live), values(t, after), upgrade.Choices{"/size/cpus": "both"})
	require.ErrorIs(t, err, upgrade.ErrUndecided)
	require.ErrorContains(t, err, "/nodeSelector/a~1b~0c, /size/cpus")
	merged, err := upgrade.Merge(values(t, before), values(t, live), values(t, after),
		upgrade.Choices{"/nodeSelector/a~1b~0c": upgrade.Live, "/size/cpus": upgrade.After})
	require.NoError(t, err)
	require.Equal(t, values(t, `{"replicas": 3, "image": {"tag": "2"}, "nodeSelector": {"a/b~c": "x"}, "same": [1, 2], "own": {"x": 1}, "size": {"cpus": 6}, "both": 7}`), merged)
}

// A value that becomes a map, or the reverse, is compared as a whole.
func TestCompareMapsWithOtherValues(t *testing.T) {
	got, err := upgrade.Compare(values(t, `{"a": 1}`), values(t, `{"a": 1}`), values(t, `{"a": {"b": 2}}`))
	require.NoError(t, err)
	require.Equal(t, []upgrade.Setting{{Path: "/a", Before: "1", Live: "1", After: `{"b":2}`, Outcome: upgrade.Taken}}, got)
	got, err = upgrade.Compare(values(t, `{"a": {}}`), values(t, `{"a": {}}`), values(t, `{}`))
	require.NoError(t, err)
	require.Equal(t, []upgrade.Setting{{Path: "/a", Before: "{}", Live: "{}", Outcome: upgrade.Taken}}, got)
}

// Numbers of a chart's YAML and of JSON are the same.
func TestCompareNumbers(t *testing.T) {
	got, err := upgrade.Compare(map[string]any{"n": 3}, map[string]any{"n": float64(3)}, map[string]any{"n": int64(3)})
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestOverrides(t *testing.T) {
	got, err := upgrade.Overrides(values(t, `{"a": 1, "b": {"c": 2, "d": 3}, "gone": 1}`), values(t, `{"a": 1, "b": {"c": 5, "d": 3}, "new": "x"}`))
	require.NoError(t, err)
	require.Equal(t, values(t, `{"b": {"c": 5}, "new": "x", "gone": null}`), got)
}

func TestPlan(t *testing.T) {
	p := upgrade.Plan{Versions: []upgrade.VersionChange{{Name: "kubernetes", From: "v1", To: "v1"}}, Values: []upgrade.Setting{{Live: "1", After: "2", Outcome: upgrade.Kept}}}
	require.False(t, p.Changes())
	p.Images = []string{"x"}
	require.True(t, p.Changes())
	require.Empty(t, p.Missing())
	p.Filled = true
	require.Equal(t, []string{"x"}, p.Missing())
}

// Whatever the three states are: the merge of equal states is that state, and
// what only one side changed is that side's.
func FuzzMerge(f *testing.F) {
	f.Add(`{"a": {"b": 1}}`, `{"a": 2}`, `{"a": {"b": 1, "c/d": [null]}}`)
	f.Add(`{"": 1}`, `{"~1": {}}`, `{}`)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var states [3]map[string]any
		for i, text := range []string{a, b, c} {
			if json.Unmarshal([]byte(text), &states[i]) != nil || states[i] == nil {
				return
			}
		}
		for _, s := range [][3]map[string]any{{states[0], states[1], states[0]}, {states[0], states[0], states[1]}, {states[2], states[1], states[1]}} {
			merged, err := upgrade.Merge(s[0], s[1], s[2], nil)
			require.NoError(t, err)
			diff, err := upgrade.Compare(states[1], merged, states[1])
			require.NoError(t, err)
			require.Empty(t, diff)
		}
	})
}
