package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is here needs pipes with names and a device that is always full.

// A device isn't this program's to change; a pipe stands for one here, lest a
// program that is wrong changes the machine's.
func TestSecretsGoToAPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Chmod(pipe, 0o644))   // whatever the umask is
	end, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that nobody has to wait for the other end
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, end.Close()) })
	var out, errOut strings.Builder
	assert.Equal(t, exitDone, run(t.Context(), []string{"-apply", "-secrets", pipe, demo}, "", &out, &errOut))
	assert.Empty(t, errOut.String())
	info, err := os.Stat(pipe)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode().Perm())
	got := make([]byte, 1000)
	n, err := end.Read(got)
	require.NoError(t, err)
	assert.Regexp(t, "^"+secretLines[:len(secretLines)-len("{2}")], string(got[:n]))
}

func TestSecretsThatCantBeWritten(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	var out, errOut strings.Builder
	assert.Equal(t, exitError, run(t.Context(), []string{"-apply", "-secrets", full, demo}, "", &out, &errOut))
	assert.Contains(t, out.String(), "Created 2, deleted 2", "it is done all the same")
	assert.Contains(t, errOut.String(), full, "and says so")
	assert.NotContains(t, errOut.String(), "sig_sec_")
}
