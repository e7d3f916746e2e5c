package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// defaultWebhookID is the webhook ID of a notification without --webhook-id.
const defaultWebhookID = "webhook_0000000000000000000000"

var errNotAccepted = errors.New("the notification was not accepted; the receiver must respond with a status from 200 to 299")

func (a *app) newSend() *cobra.Command {
	var settings []string
	var bodyFlag string
	var secret secretInput
	var d deliverer
	cmd := &cobra.Command{
		Use:   "send EVENT --to URL",
		Short: "Send one signed notification to any URL",
		Long: `Send one signed notification to any URL.

The secret is the one in --secret-file, in APIVIDEO_WEBHOOK_SECRET, or of the
webhook with --webhook-id, in this order. The exit code is 0 only after a 2xx.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			body, err := a.sendBody(cmd.Context(), args, settings, cmd.Flags().Changed("body"), bodyFlag)
			if err != nil {
				return err
			}
			key, err := secret.find(cmd.Context(), a)
			if err != nil {
				return err
			}
			id := secret.webhookID
			if id == "" {
				id = defaultWebhookID
			}
			header := http.Header{}
			header.Set("Content-Type", "application/json")
			header.Set("User-Agent", userAgent)
			header.Set(notification.HeaderWebhookID, id)
			header.Set(notification.HeaderSignature, notification.Sign(body, key))
			ok, err := d.deliver(cmd.Context(), a, notificationID(id, body), header, body)
			if err == nil && !ok {
				err = errNotAccepted
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&settings, "set", nil, "set a field of the event, as `NAME=VALUE`")
	cmd.Flags().StringVar(&bodyFlag, "body", "", "exact bytes instead of EVENT: `@file`, - for stdin, or a text")
	secret.addFlags(cmd)
	d.addFlags(cmd)
	return cmd
}

// sendBody returns the given bytes or the notification of an event.
func (a *app) sendBody(ctx context.Context, args, settings []string, given bool, flag string) ([]byte, error) {
	switch {
	case given && (len(args) > 0 || len(settings) > 0):
		return nil, usagef("--body replaces EVENT and --set; use one of them")
	case given:
		return a.readBody(ctx, flag)
	case len(args) == 0:
		return nil, usagef("EVENT is missing, for example video.encoding.quality.completed; or use --body")
	}
	events, err := a.parseEvents(args)
	if err != nil {
		return nil, usageError{err}
	}
	return newEventBody(events[0], settings, time.Now())
}

// notificationID returns the ID that a receiver uses for deduplication.
func notificationID(webhookID string, body []byte) string {
	n := notification.Notification{WebhookID: webhookID, Raw: body}
	return n.ID()
}
