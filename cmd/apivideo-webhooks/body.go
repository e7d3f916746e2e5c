package main

import "strings"

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
