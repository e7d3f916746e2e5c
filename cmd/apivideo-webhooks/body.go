package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
)

// readBody returns the bytes of --body: @file, - for stdin, or the text itself.
func (a *app) readBody(ctx context.Context, flag string) ([]byte, error) {
	if name, ok := strings.CutPrefix(flag, "@"); ok {
		return a.readInput(ctx, name)
	}
	if flag == "-" {
		return a.readInput(ctx, flag)
	}
	return []byte(flag), nil
}

// readInput reads a file, or stdin for "-".
func (a *app) readInput(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		return readUntilSignal(ctx, func() ([]byte, error) { return io.ReadAll(a.in) })
	}
	return readFile(ctx, name)
}

func readFile(ctx context.Context, name string) ([]byte, error) {
	return readUntilSignal(ctx, func() ([]byte, error) { return os.ReadFile(name) }) //nolint:gosec // the user names the file
}

// readUntilSignal returns the result of read. It does not wait for read after a signal,
// because a read of a pipe or a terminal cannot be canceled.
func readUntilSignal(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	var data []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		data, err = read()
	}()
	select {
	case <-done:
		return data, err
	case <-ctx.Done():
		return nil, errors.New("the input was interrupted")
	}
}
