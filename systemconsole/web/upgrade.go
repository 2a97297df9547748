package web

import (
	"bytes"
	"encoding/json"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

// UpgradePage is the upgrade that is under way, or what one can be made of.
type UpgradePage struct {
	Frame
	Tabs      []Tab
	May       bool
	Possible  bool // the console has been given a way to upgrade
	Last      *upgrades.Upgrade
	Installed *upgrade.Installed // nil when the cluster does not say
	Bundles   []upgrade.Bundle
}

// Template names the template.
func (UpgradePage) Template() string { return "upgrade" }

// Running tells whether an upgrade is under way.
func (p UpgradePage) Running() bool { return p.Last != nil && p.Last.State == enterprise.Running }

// Age says how a bundle stands to the one that is installed.
func (p UpgradePage) Age(b upgrade.Bundle) Status {
	switch {
	case p.Installed == nil:
		return Status{Unknown, "Available"}
	case p.Installed.Bundle.Statement == b.Statement:
		return Status{Good, "Installed"}
	case p.IsNewer(b):
		return Status{Unknown, "Newer"}
	default:
		return Status{Unknown, "Older"}
	}
}

// IsNewer tells whether a bundle has a higher version than the one that is
// installed.
func (p UpgradePage) IsNewer(b upgrade.Bundle) bool {
	return p.Installed == nil || semver.Compare("v"+b.Version, "v"+p.Installed.Bundle.Version) > 0
}

// Done is how many steps of the upgrade are over.
func (p UpgradePage) Done() int {
	n := 0
	for _, s := range p.Last.Steps {
		if s.State == upgrade.Done || s.State == upgrade.Before {
			n++
		}
	}
	return n
}

// StepStatus says how far a step is.
func (UpgradePage) StepStatus(s upgrades.Step) Status {
	switch s.State {
	case upgrade.Running:
		return Status{Busy, "Running"}
	case upgrade.Before:
		return Status{Good, "Done before"}
	case upgrade.Done:
		return Status{Good, "Done"}
	case upgrade.Failed:
		return Status{Bad, "Failed"}
	default:
		return Status{Unknown, "Waiting"}
	}
}

// UpgradePlanPage is what an upgrade would change, and the form that starts it.
type UpgradePlanPage struct {
	Frame
	May       bool
	Bundle    upgrade.Bundle
	Plan      *upgrade.Plan // nil when there is no way to the release; Says tells why
	Conflicts []ValueConflict
	State     string // identifies the values that are shown
	Busy      bool   // it cannot be started now; Says tells why
	Expect    string // as it was entered
}

// Template names the template.
func (UpgradePlanPage) Template() string { return "upgrade-plan" }

// Startable tells whether the form is offered.
func (p UpgradePlanPage) Startable() bool {
	return p.May && !p.Busy && len(p.Plan.Missing()) == 0 && p.Plan.Changes()
}

// Settled are the values that differ and need no choice.
func (p UpgradePlanPage) Settled() []upgrade.Setting {
	var out []upgrade.Setting
	for _, s := range p.Plan.Values {
		if s.Outcome == upgrade.Kept || s.Outcome == upgrade.Taken {
			out = append(out, s)
		}
	}
	return out
}

// ValueConflict is a value that administrator and release changed, each to
// another one.
type ValueConflict struct {
	Setting upgrade.Setting
	Field   string // of the form
	Choices []Choice
}

// ComponentsPage lists what is installed, and by whom it was signed.
type ComponentsPage struct {
	Frame
	Tabs      []Tab
	Filter    string
	Installed *upgrade.Installed // nil when the cluster does not say
}

// Template names the template.
func (ComponentsPage) Template() string { return "components" }

// Components are those that the filter lets through.
func (p ComponentsPage) Components() []upgrade.Component {
	var out []upgrade.Component
	wanted := strings.ToLower(p.Filter)
	for _, c := range p.Installed.Components {
		if strings.Contains(strings.ToLower(c.Kind+" "+c.Name+" "+c.Version+" "+c.Digest), wanted) {
			out = append(out, c)
		}
	}
	return out
}

// ValueText shows a value, which is JSON, as people write it.
func ValueText(value string) string {
	if value == "" {
		return "not set"
	}
	var text string
	if json.Unmarshal([]byte(value), &text) == nil {
		if text == "" {
			return `"" (empty)`
		}
		return text
	}
	var out bytes.Buffer
	if json.Indent(&out, []byte(value), "", "  ") != nil {
		return value
	}
	return out.String()
}

// settingName shows the path of a setting: console.image.tag.
func settingName(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
		if strings.Contains(parts[i], ".") {
			parts[i] = `"` + parts[i] + `"`
		}
	}
	return strings.Join(parts, ".")
}

// DiffLine is one line of a diff.
type DiffLine struct {
	Kind string // add, cut, at, or nothing for what stays
	Text string
}

// diffLines takes a unified diff apart, without the names of its two sides.
func diffLines(text string) []DiffLine {
	var out []DiffLine
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "@@"):
			if len(out) > 0 {
				out = append(out, DiffLine{"at", "..."})
			}
		case strings.HasPrefix(line, "+"):
			out = append(out, DiffLine{"add", line})
		case strings.HasPrefix(line, "-"):
			out = append(out, DiffLine{"cut", line})
		default:
			out = append(out, DiffLine{"", line})
		}
	}
	return out
}

// diffCount is how many lines a diff adds and takes away.
func diffCount(text string) string {
	added, cut := 0, 0
	for _, l := range diffLines(text) {
		switch l.Kind {
		case "add":
			added++
		case "cut":
			cut++
		}
	}
	return plural(added, "line", "lines") + " added, " + plural(cut, "line", "lines") + " removed"
}
