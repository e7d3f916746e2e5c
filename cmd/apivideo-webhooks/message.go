package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// message returns the text of an error with a hint.
func (a *app) message(ctx context.Context, cmd *cobra.Command, err error) string {
	text := facadePrefix.ReplaceAllString(err.Error(), "")
	var usage usageError
	var sig signalError
	var e *facade.Error
	switch {
	case errors.As(err, &usage):
		return fmt.Sprintf(`%s; see "%s --help"`, oneLine(text), cmd.CommandPath())
	case errors.Is(err, errOutputLost):
		return text
	case errors.Is(err, facade.ErrUnconfirmed) && cmd.Name() == "create":
		return text + `; the webhook may exist, see "apivideo-webhooks list", or use ensure instead of create`
	case errors.As(context.Cause(ctx), &sig):
		return fmt.Sprintf("%s (%s); run the command again", text, sig)
	case errors.Is(err, facade.ErrUnauthorized):
		return text + "; " + a.keyHint()
	case errors.Is(err, facade.ErrTooManyRequests) && errors.As(err, &e) && e.RetryAfter > 0:
		return fmt.Sprintf("%s; run the command again in %s", text, e.RetryAfter.Round(time.Second))
	case errors.Is(err, facade.ErrWebhookLimitReached):
		return text + `; delete a webhook first, see "apivideo-webhooks list"`
	case errors.Is(err, facade.ErrUnconfirmed):
		return text + "; the webhook may exist; run the command again, which creates no duplicate"
	case errors.Is(err, facade.ErrServer), errors.As(err, &e) && e.StatusCode == 0:
		return fmt.Sprintf("%s; check that %s is available and run the command again", text, a.environment())
	}
	return text
}

// keyHint names the environment, because a key belongs to a single environment.
func (a *app) keyHint() string {
	hint := fmt.Sprintf("use an API key of %s in %s", a.environment(), envAPIKey)
	switch {
	case a.baseURL != "":
		return hint
	case a.production:
		return hint + ", or --sandbox with a key of the sandbox"
	}
	return hint + ", or --production with a key of production"
}
