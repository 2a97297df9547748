// Package buildinfo knows which build of the suite this is.
package buildinfo

import "runtime/debug"

// version is set by the linker for releases: -X .../buildinfo.version=v1.2.3.
var version string

// Version returns the release, or for other builds the module version or the
// commit that the Go tool recorded, or "dev".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "dev"
}
