package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// inNamespace is set in the namespace.
const inNamespace = "INGEST_TEST_IN_NAMESPACE"

// TestReceiver_fullDisk fills a disk of 4 MiB. The test runs in a user namespace, to
// mount the disk.
func TestReceiver_fullDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(inNamespace) == "" {
		runInNamespace(t)
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Log(err)
		os.Exit(noMount)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	store := filepath.Join(dir, "store")
	require.NoError(t, os.Mkdir(store, 0o700))
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, store)))
	require.NoError(t, s.ensure(t.Context()))
	fillUp(t, s, 1000)
}

// noMount is the exit code of a test without the permission to mount.
const noMount = 77

// runInNamespace runs the test as root of a namespace. Some systems forbid namespaces.
func runInNamespace(t *testing.T) {
	t.Helper()
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), inNamespace+"=1")
	run.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := run.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || run.ProcessState != nil && run.ProcessState.ExitCode() == noMount {
		t.Skipf("this system lets only root mount: %v\n%s", err, out)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "PASS")
}
