package facade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
	"github.com/apivideo-community/webhooks-go/gen"
)

// CreateWebhook creates a webhook and returns it with the signature secret. A create
// is not idempotent: the service accepts duplicates and then sends each notification
// twice. EnsureWebhook looks for an existing webhook first.
//
// The error is ErrUnconfirmed if the webhook may have been created although no
// response confirms the creation, for example after a timeout. After any other error
// nothing was created. ErrWebhookLimitReached means that the account has the maximum
// number of webhooks. After ErrInvalidArgument no request was sent.
func (c *Client) CreateWebhook(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	const op = "CreateWebhook"
	if err := c.validator.checkParams(p); err != nil {
		return nil, c.invalid(op, err)
	}
	body, err := json.Marshal(gen.WebhookCreation{URL: p.URL, Events: p.Events})
	if err != nil {
		return nil, c.invalid(op, err)
	}
	wh, r, err := c.webhook(ctx, op, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.webhooksURL, bytes.NewReader(body))
		if err == nil {
			req.Header["Content-Type"] = []string{"application/json"}
		}
		return req, err
	})
	if err == nil {
		return wh, nil
	}
	var e *Error
	if errors.As(err, &e) && (r.Ambiguous || transport.IsSuccess(r.Status)) {
		e.cause = unconfirmed(e)
	}
	return nil, err
}

// unconfirmed returns the cause of an Error after which a webhook may exist.
func unconfirmed(e *Error) error {
	switch {
	case e.cause == nil:
		return ErrUnconfirmed
	case e.StatusCode == http.StatusCreated:
		return fmt.Errorf("%w: the webhook was created, but its ID cannot be read: %w", ErrUnconfirmed, e.cause)
	default:
		return fmt.Errorf("%w: %w", ErrUnconfirmed, e.cause)
	}
}

// GetWebhook returns the webhook with the ID. The error is ErrNotFound if there is
// none.
func (c *Client) GetWebhook(ctx context.Context, id string) (*Webhook, error) {
	const op = "GetWebhook"
	if err := checkID(id); err != nil {
		return nil, c.invalid(op, err)
	}
	wh, _, err := c.webhook(ctx, op, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.webhookURL(id), nil)
	})
	return wh, err
}

// webhookURL returns the URL of a webhook. The request builders of package gen parse the
// URL of the server twice for each request, which takes 5 % of a call over loopback. So
// NewClient takes the URL of the list from a builder, and net/http builds the rest.
func (c *Client) webhookURL(id string) string { return c.webhooksURL + "/" + url.PathEscape(id) }

// webhook sends a request whose response is a webhook.
func (c *Client) webhook(ctx context.Context, op string, build func() (*http.Request, error)) (*Webhook, *transport.Result, error) {
	var model webhookModel
	r, err := do(ctx, c.transport, op, &model, build)
	if err != nil {
		return nil, r, err
	}
	if model.WebhookID == "" {
		return nil, r, invalidResponse(c.transport, op, r, "a webhook without an ID")
	}
	return newWebhook(&model), r, nil
}

// DeleteWebhook deletes the webhook with the ID. The error is ErrNotFound if there is
// none. A 404 after an ambiguous attempt of the same call is a success.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	const op = "DeleteWebhook"
	if err := checkID(id); err != nil {
		return c.invalid(op, err)
	}
	r, err := do(ctx, c.transport, op, nil, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodDelete, c.webhookURL(id), nil)
	})
	if r.Status == http.StatusNotFound && r.Ambiguous {
		return nil
	}
	return err
}
