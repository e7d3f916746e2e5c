package main

import (
	"io"
	"os"
	"strings"
)

// readBody returns the bytes of --body: @file, - for stdin, or the text itself.
func (a *app) readBody(flag string) ([]byte, error) {
	if name, ok := strings.CutPrefix(flag, "@"); ok {
		return readFile(name, a.in)
	}
	if flag == "-" {
		return readFile("-", a.in)
	}
	return []byte(flag), nil
}

// readFile reads a file, or stdin for "-".
func readFile(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name) //nolint:gosec // the user names the file
}
