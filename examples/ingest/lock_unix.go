//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"fmt"
	"os"
	"syscall"
)

// lock reserves a directory for this process, until unlock or its end.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir) //nolint:gosec // the user chooses the directory
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("directory %s: another process uses it: %w", dir, err)
	}
	return func() {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // a child may have a copy of the descriptor
		_ = f.Close()
	}, nil
}
