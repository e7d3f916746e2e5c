package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestApplicationVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3":                             "1.2.3",
		"v0.10.999":                          "0.10.999",
		"v1.2.1000":                          "0", // more than the service allows
		"v1.2.3-rc1":                         "0",
		"v0.0.0-20261127000717-fe0bcb5a1b2c": "0",
		"v1.2.3+dirty":                       "0",
		"1.2.3":                              "0",
		"(devel)":                            "0",
		"":                                   "0",
	} {
		got := applicationVersion(version)
		assert.Equal(t, want, got, version)
		_, err := facade.NewClient("key", facade.WithApplication("apivideo-webhooks", got))
		require.NoError(t, err)
	}
}

// The build of a release has the version of its tag.
func TestVersion_release(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../../.goreleaser.yaml")
	require.NoError(t, err)
	flags := regexp.MustCompile(`ldflags: \["(.*)"\]`).FindSubmatch(config)
	require.NotNil(t, flags)
	name := filepath.Join(t.TempDir(), program)
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", strings.ReplaceAll(string(flags[1]), "{{ .Tag }}", "v1.2.3"), "-o", name, ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), name, "version").Output()
	require.NoError(t, err)
	assert.Regexp(t, "^apivideo-webhooks v1.2.3 go1", string(out))
}
