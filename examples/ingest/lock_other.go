//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

// lock does nothing: the user keeps other processes out of the directory.
func lock(string) (unlock func(), err error) { return func() {}, nil }
