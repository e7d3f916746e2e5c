package main

import (
	"regexp"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the tag of a release. The linker sets it, because Go derives no version
// of a nested module from a tag without its directory.
var version string

// versionJSON is the output of version.
type versionJSON struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
}

func (a *app) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if a.jsonOutput() {
				a.printJSON(v)
				return nil
			}
			text := "apivideo-webhooks " + v.Version + " " + v.Go
			if v.Revision != "" {
				text += " " + v.Revision
			}
			a.printf("%s", text)
			return nil
		},
	}
}

// readVersion returns the version of the linker, or the one in the build info.
func readVersion() versionJSON {
	v := versionJSON{Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v = versionJSON{Version: info.Main.Version, Go: info.GoVersion}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	if version != "" {
		v.Version = version
	}
	return v
}

var release = regexp.MustCompile(`^v(\d{1,3}\.\d{1,3}\.\d{1,3})$`)

// applicationVersion returns a version in the form that facade.WithApplication needs,
// and 0 for a version between releases.
func applicationVersion(version string) string {
	if m := release.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return "0"
}
