package main

import (
	"regexp"
	"runtime/debug"
)

// versionJSON is the output of version.
type versionJSON struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
}

// readVersion returns the version in the build info.
func readVersion() versionJSON {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versionJSON{Version: "unknown"}
	}
	v := versionJSON{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}

var release = regexp.MustCompile(`^v(\d{1,3}\.\d{1,3}\.\d{1,3})$`)

// applicationVersion returns the version in the form that facade.WithApplication
// needs, and 0 for a version between releases.
func applicationVersion() string {
	if m := release.FindStringSubmatch(readVersion().Version); m != nil {
		return m[1]
	}
	return "0"
}
