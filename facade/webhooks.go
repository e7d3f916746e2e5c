package facade

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"unicode/utf8"

	"github.com/apivideo-community/webhooks-go/gen"
)

// CreateWebhookParams says what to subscribe, and to which events.
type CreateWebhookParams struct {
	// URL is where notifications go: absolute, http or https. The service stores
	// it byte for byte.
	URL string
	// Events are one or more. Those not known here are sent as they are.
	Events []EventType
}

// CreateWebhook subscribes p.URL to p.Events and returns the new webhook, its
// signature secret included. The service takes the same subscription twice and
// then notifies twice; nothing here prevents that.
//
// The request is sent once. Whatever else than a readable 201 comes of it is an
// error: with a status from 300 to 499, 408 aside, nothing was created, nor was
// it if certainly no connection came about. Every other failure may have come after the
// service did its work, and is ErrUnconfirmed as well as its cause. An account at
// its limit gives ErrWebhookLimitReached, fields that the service refuses
// ErrBadRequest, and those that can't be right ErrInvalidArgument.
func (c *Client) CreateWebhook(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	const op = "CreateWebhook"
	if err := p.check(op); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: op, Attempts: 1, cause: err}
	}
	body := gen.WebhookCreation{URL: p.URL, Events: make([]gen.EventType, len(p.Events))}
	for i, e := range p.Events {
		body.Events[i] = gen.EventType(e)
	}
	ctx, unsent := traceSending(ctx)
	resp, err := c.low.CreateWebhook(ctx, body)
	wh, err := webhookOf(ctx, op, http.StatusCreated, resp, err)
	var e *Error
	if errors.As(err, &e) && mayBeCreated(e.StatusCode) && !unsent() {
		e.cause = unconfirmed(e)
	}
	return wh, err
}

// GetWebhook returns the webhook of that id, or ErrNotFound.
func (c *Client) GetWebhook(ctx context.Context, id string) (*Webhook, error) {
	const op = "GetWebhook"
	if err := checkID(op, id); err != nil {
		return nil, err
	}
	resp, err := c.low.GetWebhook(ctx, id)
	return webhookOf(ctx, op, http.StatusOK, resp, err)
}

// DeleteWebhook deletes the webhook of that id. One that isn't there any more
// is ErrNotFound.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	const op = "DeleteWebhook"
	if err := checkID(op, id); err != nil {
		return err
	}
	resp, err := c.low.DeleteWebhook(ctx, id)
	return call(ctx, op, http.StatusNoContent, nil, resp, err)
}

// webhookOf reads an answer that holds one webhook.
func webhookOf(ctx context.Context, op string, want int, resp *http.Response, err error) (*Webhook, error) {
	var model gen.Webhook
	if err := call(ctx, op, want, &model, resp, err); err != nil {
		return nil, err
	}
	if model.WebhookID == "" {
		return nil, unusable(op, resp, "a webhook without id")
	}
	return newWebhook(&model), nil
}

func (p CreateWebhookParams) check(op string) error {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return invalid(op, "the url must be an absolute http or https one")
	case !utf8.ValidString(p.URL):
		return invalid(op, "the url is not UTF-8") // JSON would replace what isn't
	case len(p.Events) == 0:
		return invalid(op, "there must be at least one event")
	}
	for _, e := range p.Events {
		if e == "" || !utf8.ValidString(string(e)) {
			return invalid(op, "%q is no event", e)
		}
	}
	return nil
}

// checkID refuses what would leave the id's place in the path: DELETE
// /webhooks/.. is DELETE /. Everything else is escaped.
func checkID(op, id string) error {
	if id == "" || id == "." || id == ".." {
		return invalid(op, "%q is no webhook id", id)
	}
	return nil
}

// mayBeCreated tells whether a create that failed with this status, 0 for none,
// may have been carried out.
func mayBeCreated(status int) bool {
	return status < 300 || status > 499 || status == http.StatusRequestTimeout
}

func unconfirmed(e *Error) error {
	switch {
	case e.StatusCode == http.StatusCreated:
		return fmt.Errorf("the webhook was created, but its id can't be read: %w: %w", ErrUnconfirmed, e.cause)
	case e.cause != nil:
		return fmt.Errorf("%w: %w", ErrUnconfirmed, e.cause)
	default:
		return ErrUnconfirmed
	}
}

// traceSending returns a context that watches the request it is sent with, and
// a function that reports whether certainly not a byte of it was written. A
// transport that tells nothing leaves that uncertain.
func traceSending(ctx context.Context) (context.Context, func() bool) {
	var asked, got atomic.Bool // whether a connection was, ever: redirects and transports may try again
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	})
	return ctx, func() bool { return asked.Load() && !got.Load() }
}
