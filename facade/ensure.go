package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// EnsureWebhook returns the webhook with p.URL and exactly p.Events, in any order.
// If there is none, EnsureWebhook creates the webhook and created is true. Of
// duplicates the oldest is returned. All other webhooks stay unchanged.
//
// After an error call EnsureWebhook again. A webhook is also returned with
// ErrUnexpectedResponse, if the service has stored another URL or other events, and
// with the error of a request for the signature secret. The section Desired state of
// the package comment has the details.
func (c *Client) EnsureWebhook(ctx context.Context, p CreateWebhookParams) (wh *Webhook, created bool, err error) {
	if err := c.validator.checkParams(p); err != nil {
		return nil, false, c.invalid("EnsureWebhook", err)
	}
	wh, err = c.find(ctx, p)
	switch {
	case err != nil:
		return nil, false, err
	case wh != nil:
		return wh, false, c.addSecret(ctx, wh)
	}
	wh, err = c.create(ctx, p)
	isUnconfirmed := errors.Is(err, ErrUnconfirmed)
	if wh != nil || !isUnconfirmed && !errors.Is(err, ErrWebhookLimitReached) {
		return wh, wh != nil, err
	}
	wh, findErr := c.find(ctx, p)
	switch {
	case findErr != nil:
		return nil, false, fmt.Errorf("%w; looking for the webhook failed: %w", err, findErr)
	case wh == nil:
		return nil, false, err
	}
	return wh, isUnconfirmed, c.addSecret(ctx, wh)
}

// create creates a webhook and returns it with the secret. A created webhook is
// returned with an error, too.
func (c *Client) create(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	wh, err := c.CreateWebhook(ctx, p)
	if err != nil {
		return nil, err
	}
	wh.URL = cmp.Or(wh.URL, p.URL)
	if len(wh.Events) == 0 {
		wh.Events = slices.Clone(p.Events)
	}
	if newSubscription(wh.URL, wh.Events) != newSubscription(p.URL, p.Events) {
		// No search for p finds this webhook, and each run would create another.
		return wh, c.errorf("CreateWebhook", "%w: webhook %q was created as %s, not as %s",
			ErrUnexpectedResponse, wh.ID, describe(wh.URL, wh.Events), describe(p.URL, p.Events))
	}
	return wh, c.addSecret(ctx, wh)
}

// addSecret requests the signature secret of a webhook if a response omitted it.
// The other fields stay unchanged.
func (c *Client) addSecret(ctx context.Context, wh *Webhook) error {
	if !wh.SignatureSecret.IsZero() {
		return nil
	}
	full, err := c.GetWebhook(ctx, wh.ID)
	if err == nil {
		wh.SignatureSecret = full.SignatureSecret
	}
	return err
}

// find returns the oldest webhook for p, or nil.
func (c *Client) find(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	all, err := c.sortedWebhooks(ctx)
	if err != nil {
		return nil, err
	}
	want := newSubscription(p.URL, p.Events)
	for _, wh := range all {
		if newSubscription(wh.URL, wh.Events) == want {
			return wh, nil
		}
	}
	return nil, nil //nolint:nilnil // no webhook is not an error
}

// sortedWebhooks returns all webhooks, the oldest first. Concurrent callers therefore
// select the same duplicate. Times are compared by seconds, because some responses
// have no fractions. A webhook without URL or events is an error, because a
// comparison is impossible.
func (c *Client) sortedWebhooks(ctx context.Context) ([]*Webhook, error) {
	all, err := Collect(c.Webhooks(ctx, ListOptions{}))
	if err != nil {
		return nil, err
	}
	for _, wh := range all {
		if wh.URL == "" || len(wh.Events) == 0 || slices.Contains(wh.Events, "") {
			return nil, c.errorf("ListWebhooks", "%w: webhook %q has no URL or no events", ErrUnexpectedResponse, wh.ID)
		}
	}
	slices.SortFunc(all, func(a, b *Webhook) int {
		return cmp.Or(cmp.Compare(a.CreatedAt.Unix(), b.CreatedAt.Unix()), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}
