package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
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

// message returns the text of an error with a hint.
func (a *app) message(ctx context.Context, cmd *cobra.Command, err error) string {
	text := facadePrefix.ReplaceAllString(err.Error(), "")
	text = strings.ReplaceAll(text, "WithPlainHTTP", "--plain-http")
	var usage usageError
	var sig signalError
	var e *facade.Error
	switch {
	case errors.As(err, &usage):
		return fmt.Sprintf(`%s; see "%s --help"`, oneLine(text), cmd.CommandPath())
	case errors.Is(err, errOutputLost):
		return text
	case errors.As(context.Cause(ctx), &sig):
		return fmt.Sprintf("%s (%s); run the command again", text, sig)
	case errors.Is(err, facade.ErrUnauthorized):
		return a.unauthorized()
	case errors.Is(err, facade.ErrTooManyRequests) && errors.As(err, &e) && e.RetryAfter > 0:
		return fmt.Sprintf("%s; run the command again in %s", text, e.RetryAfter.Round(time.Second))
	case errors.Is(err, facade.ErrWebhookLimitReached):
		return text + `; delete a webhook first, see "apivideo-webhooks list"`
	case errors.Is(err, facade.ErrUnconfirmed) && cmd.Name() == "create":
		return text + `; the webhook may exist, see "apivideo-webhooks list", or use ensure instead of create`
	case errors.Is(err, facade.ErrUnconfirmed):
		return text + "; the webhook may exist; run the command again, which creates no duplicate"
	case errors.Is(err, facade.ErrServer), errors.As(err, &e) && e.StatusCode == 0:
		return fmt.Sprintf("%s; check that %s is available and run the command again", text, a.environment())
	}
	return text
}

// unauthorized names the environment, because a key belongs to a single environment.
func (a *app) unauthorized() string {
	text := fmt.Sprintf("%s rejects the API key in %s (401); use a key of %[1]s", a.environment(), envAPIKey)
	switch {
	case a.baseURL != "":
		return text
	case a.production:
		return text + ", or --sandbox with a key of the sandbox"
	}
	return text + ", or --production with a key of production"
}

// oneLine replaces line breaks and control characters.
func oneLine(s string) string {
	return clean(strings.Join(strings.Fields(s), " "))
}
