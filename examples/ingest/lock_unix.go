//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes a directory for this process. It returns what gives it free again,
// which the end of the process does as well.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir) //nolint:gosec // it is the one that the user wants
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another process stores in it")
		}
		return nil, errors.Join(fmt.Errorf("directory %s: %w", dir, err), f.Close())
	}
	return func() {
		// A child that is just being started has the descriptor too: closing it here
		// wouldn't be enough.
		_ = syscall.Flock(fd, syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}
