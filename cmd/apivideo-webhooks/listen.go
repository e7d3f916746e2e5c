package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// Limits after a signal: of the requests to the service, and of requests in flight.
const (
	endTimeout      = 10 * time.Second
	shutdownTimeout = time.Second
)

// listenFlags are the flags of listen.
type listenFlags struct {
	publicURL, forwardTo, record string
	events                       []string
	port                         int
	timeout                      time.Duration
}

func (a *app) newListen() *cobra.Command {
	var flags listenFlags
	cmd := &cobra.Command{
		Use:   "listen --url PUBLIC_URL [--forward-to URL]",
		Short: "Receive notifications through a tunnel and forward them",
		Long: `Receive notifications through a tunnel and forward them.

The tunnel leads from PUBLIC_URL to --port on this machine. listen creates a
temporary webhook and deletes it at the end. After a crash the next run on this
machine deletes it. The query parameter ` + marker + ` marks the webhook.

Requests without a valid signature get 401. The status of the receiver is passed
back: 502 if it cannot be reached, 504 after --forward-timeout. If the output is
closed, listen continues until a signal.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listen(cmd.Context(), flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.publicURL, "url", "", "public `URL` of the tunnel")
	f.StringVar(&flags.forwardTo, "forward-to", "", "`URL` of the local receiver (default none, with status 202)")
	f.StringArrayVar(&flags.events, "event", nil, "`event` to subscribe to (default all)")
	f.IntVar(&flags.port, "port", 8787, "`port` on this machine, 0 for any")
	f.StringVar(&flags.record, "record", "", "append the notifications to this `file`, for replay")
	f.DurationVar(&flags.timeout, "forward-timeout", 30*time.Second, "maximum `time` of the receiver")
	_ = cmd.MarkFlagRequired("url") // the flag exists
	return cmd
}

func (a *app) listen(ctx context.Context, flags listenFlags) (err error) {
	events, err := a.listenEvents(flags)
	if err != nil {
		return err
	}
	var target *url.URL
	if flags.forwardTo != "" {
		if target, err = url.Parse(flags.forwardTo); err != nil || !isHTTP(flags.forwardTo) {
			return usagef("--forward-to %q is invalid; use an absolute http or https URL", redactURL(flags.forwardTo))
		}
	}
	client, err := a.newClient()
	if err != nil {
		return err
	}
	var rec *recorder
	if flags.record != "" {
		if rec, err = openRecorder(flags.record); err != nil {
			return err
		}
		defer func() { err = join(err, rec.close()) }()
	}
	listener, err := listenOn(ctx, "--port", net.JoinHostPort("127.0.0.1", strconv.Itoa(flags.port)))
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := a.removeLeftovers(ctx, client); err != nil {
		return err
	}

	r, err := startRun(a.account())
	if err != nil {
		return err
	}
	wh, _, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{URL: r.mark(flags.publicURL), Events: events})
	if errors.Is(err, facade.ErrUnconfirmed) && wh == nil {
		return join(err, a.removeUnconfirmed(ctx, client, r))
	}
	if wh == nil {
		return join(err, r.end())
	}
	defer func() { err = join(err, a.endRun(ctx, client, r, wh)) }()
	if err != nil {
		return err
	}
	verifier, err := notification.NewVerifier(notification.StaticSecrets(wh.SignatureSecret))
	if err != nil {
		return fmt.Errorf("the signature secret of %s is unusable: %w", wh.ID, err)
	}
	if a.jsonOutput() {
		a.printJSON(servingJSON{"http://" + listener.Addr().String()})
	}
	a.notef("Created %s for %s", clean(wh.ID), clean(redactURL(wh.URL)))
	if target != nil {
		a.notef("Forwarding from http://%s to %s", listener.Addr(), target.Redacted())
	} else {
		a.notef("Listening on http://%s", listener.Addr())
	}
	err = serve(ctx, listener, newForwarder(a, verifier, target, rec, flags.timeout), shutdownTimeout)
	_ = a.out.flush(ctx) // before the note of the deletion; execute returns the error
	return err
}

func (a *app) listenEvents(flags listenFlags) ([]facade.EventType, error) {
	if !isHTTP(flags.publicURL) {
		return nil, usagef("--url %q is invalid; use the absolute URL of a tunnel to this machine", redactURL(flags.publicURL))
	}
	if runID(flags.publicURL) != "" {
		return nil, usagef("--url has the query parameter %s of another run; remove the parameter", marker)
	}
	if flags.timeout <= 0 {
		return nil, usagef("--forward-timeout must be positive")
	}
	if len(flags.events) == 0 {
		return facade.EventTypes(), nil
	}
	events, err := a.parseEvents(flags.events)
	if err != nil {
		return nil, usageError{err}
	}
	return events, nil
}

// removeUnconfirmed looks for the webhook of an unconfirmed creation and deletes it,
// also after a signal.
func (a *app) removeUnconfirmed(ctx context.Context, client *facade.Client, r *tempRun) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			r.abandon() // the webhook may exist
			return fmt.Errorf("the temporary webhook may exist, and the next listen deletes it: %w", err)
		}
		if runID(wh.URL) == r.id {
			return a.endRun(ctx, client, r, wh)
		}
	}
	r.abandon() // the creation may take effect later
	return nil
}

// endRun deletes the temporary webhook, also after a signal.
func (a *app) endRun(ctx context.Context, client *facade.Client, r *tempRun, wh *facade.Webhook) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := client.DeleteWebhook(ctx, wh.ID); err != nil && !errors.Is(err, facade.ErrNotFound) {
		r.abandon()
		return fmt.Errorf("the temporary webhook %s was not deleted, and the next listen deletes it: %w", wh.ID, err)
	}
	a.notef("Deleted %s", clean(wh.ID))
	return r.end()
}
