package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// docs/cli.md has these exit codes.
func TestExitCode(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for _, test := range []struct {
		name   string
		signal os.Signal
		err    error
		want   int
	}{
		{"success", nil, nil, 0},
		{"success after a signal", syscall.SIGINT, nil, 0},
		{"error", nil, failed, 1},
		{"error of the service", nil, facade.ErrUnauthorized, 1},
		{"lost output", nil, fmt.Errorf("%w: %w", errOutputLost, syscall.EPIPE), 1},
		{"lost output after a signal", syscall.SIGINT, errOutputLost, 1},
		{"changes", nil, errPending, 2},
		{"usage", nil, usageError{failed}, 64},
		{"wrapped usage", nil, fmt.Errorf("outer: %w", usagef("--flag")), 64},
		{"joined usage", nil, join(failed, usagef("--flag")), 64},
		{"usage after a signal", syscall.SIGINT, usagef("--flag"), 64},
		{"error after SIGHUP", syscall.SIGHUP, failed, 129},
		{"error after SIGINT", syscall.SIGINT, failed, 130},
		{"error after SIGTERM", syscall.SIGTERM, failed, 143},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if test.signal != nil {
				cancel(signalError{test.signal})
			}
			assert.Equal(t, test.want, exitCode(ctx, test.err))
		})
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	x, y := errors.New("x"), errors.New("y")
	require.NoError(t, join(nil, nil))
	assert.Equal(t, x, join(x, nil))
	assert.Equal(t, y, join(nil, y))
	err := join(x, y)
	require.EqualError(t, err, "x; y")
	require.ErrorIs(t, err, x)
	require.ErrorIs(t, err, y)
}

// The hint after a 401 names the environment and the other one.
func TestApp_keyHint(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "use an API key of the sandbox in APIVIDEO_API_KEY, or --production with a key of production", new(app).keyHint())
	assert.Equal(t, "use an API key of production in APIVIDEO_API_KEY, or --sandbox with a key of the sandbox", (&app{production: true}).keyHint())
}

// A signal ends the question of apply.
func TestConfirm_signal(t *testing.T) {
	t.Parallel()
	in, terminal := io.Pipe()
	t.Cleanup(func() { _ = terminal.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errOut bytes.Buffer
	a := &app{in: in, errOut: &errOut, inTerminal: true}
	require.EqualError(t, a.confirm(ctx, 1, false), "nothing was changed")
	assert.Equal(t, "Delete 1 webhook? [y/N] \n", errOut.String())
}
