// Command apivideo-webhooks manages, sends, receives and fakes the webhooks of
// api.video. See docs/cli.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

func main() {
	os.Exit(run())
}

// run is main without the exit. It returns the exit code.
func run() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // a closed stdout is an error of output
	go func() {
		s := <-signals
		signal.Stop(signals) // the next signal ends the process at once
		cancel(signalError{s})
	}()
	a := &app{
		in:         os.Stdin,
		out:        &output{w: os.Stdout},
		errOut:     os.Stderr,
		env:        os.Getenv,
		inTerminal: isatty.IsTerminal(os.Stdin.Fd()),
		terminal:   isatty.IsTerminal(os.Stdout.Fd()),
	}
	return a.execute(ctx, os.Args[1:])
}
