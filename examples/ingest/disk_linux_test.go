package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestReceiveAnswers503WhenTheDiskIsFull fills a disk of 4 MiB, which only root
// can make.
func TestReceiveAnswers503WhenTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	switch err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		t.Skip("a small disk can't be made: ", err)
	default:
		require.NoError(t, err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	store := filepath.Join(dir, "store")
	require.NoError(t, os.Mkdir(store, 0o700))
	s := connect(t, "apivideo", "", nats.InProcessServer(newEmbedded(t, store)))
	require.NoError(t, s.ensure(t.Context()))
	fillUp(t, s, 1000)
}
