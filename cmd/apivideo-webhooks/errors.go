package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"
)

// The exit codes. A signal has 128 and its number.
const (
	exitOK      = 0
	exitError   = 1
	exitPending = 2
	exitUsage   = 64
	exitSignal  = 128
)

// errPending means that a plan has changes. execute does not print it.
var errPending = errors.New("the plan has changes")

// errOutputLost means that stdout is closed or full.
var errOutputLost = errors.New("the output cannot be written")

// usageError is an invalid command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// signalError is the cause of a canceled context.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() }

// join returns both errors in one line. Each may be nil.
func join(x, y error) error {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	return fmt.Errorf("%w; %w", x, y)
}

func exitCode(ctx context.Context, err error) int {
	var usage usageError
	var sig signalError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errPending):
		return exitPending
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errOutputLost):
		return exitError
	case errors.As(context.Cause(ctx), &sig):
		if number, ok := sig.Signal.(syscall.Signal); ok {
			return exitSignal + int(number)
		}
	}
	return exitError
}

// facadePrefix is the beginning of errors of the library, which has no meaning here.
var facadePrefix = regexp.MustCompile(`apivideo: (\w+: invalid argument: )?`)
