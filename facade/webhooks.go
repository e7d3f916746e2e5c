package facade

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
// then notifies twice. Nothing here prevents that; EnsureWebhook looks first.
//
// The request is sent again only if the attempt before provably did nothing.
// Whatever else than a readable 201 comes of it is an error: with a status from
// 300 to 499, 408 aside, nothing was created, nor was it if certainly no
// connection came about. Every other failure may have come after the service did
// its work, and is ErrUnconfirmed as well as its cause. An account at
// its limit gives ErrWebhookLimitReached, fields that the service refuses
// ErrBadRequest, and those that can't be right ErrInvalidArgument.
func (c *Client) CreateWebhook(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	const op = "CreateWebhook"
	if err := p.check(op); err != nil {
		return nil, err
	}
	body := gen.WebhookCreation{URL: p.URL, Events: make([]gen.EventType, len(p.Events))}
	for i, e := range p.Events {
		body.Events[i] = gen.EventType(e)
	}
	ctx, t := withTries(ctx)
	resp, err := c.low.CreateWebhook(ctx, body)
	wh, err := webhookOf(op, http.StatusCreated, t, resp, err)
	var e *Error
	if errors.As(err, &e) && (t.uncertain || e.Op == op && isSuccess(e.StatusCode)) {
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
	ctx, t := withTries(ctx)
	resp, err := c.low.GetWebhook(ctx, id)
	return webhookOf(op, http.StatusOK, t, resp, err)
}

// DeleteWebhook deletes the webhook of that id. One that isn't there is
// ErrNotFound, unless an attempt of this call may have deleted it before.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	const op = "DeleteWebhook"
	if err := checkID(op, id); err != nil {
		return err
	}
	ctx, t := withTries(ctx)
	resp, err := c.low.DeleteWebhook(ctx, id)
	err = call(op, http.StatusNoContent, nil, t, resp, err)
	var e *Error
	if errors.As(err, &e) && e.Op == op && e.StatusCode == http.StatusNotFound && t.uncertain {
		return nil
	}
	return err
}

// webhookOf reads an answer that holds one webhook.
func webhookOf(op string, want int, t *tries, resp *http.Response, err error) (*Webhook, error) {
	var model gen.Webhook
	if err := call(op, want, &model, t, resp, err); err != nil {
		return nil, err
	}
	if model.WebhookID == "" {
		return nil, unusable(op, t, resp, "a webhook without id")
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
