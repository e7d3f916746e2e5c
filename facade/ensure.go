package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// EnsureWebhook returns a webhook of p.URL with exactly p.Events, and creates it
// if there is none: created says whether this call did. The order of the events
// doesn't matter, nor how often each is named; urls are compared byte for byte.
//
// With up to 100 webhooks in the account it costs one request if the webhook is
// there and two if not. It costs one more to look again, as told below, and one
// more if the service leaves out the signature secret, to ask for it. If that is
// left out again, SignatureSecret is zero.
//
// Of several that match, the oldest is returned and the others are left alone.
// There are several if two callers have created it at once, since the service
// removes no duplicates. PlanWebhooks does, and what it deletes may be the one
// that was returned here. Webhooks of that url with other events are left alone
// as well.
//
// If the creation is ErrUnconfirmed or ErrWebhookLimitReached, the list is looked
// at again. A webhook that is there by then is returned. After ErrUnconfirmed
// created is true then, though another caller may have made it; at the limit it
// is false, for another caller did. If there is none, the error is returned:
// after ErrUnconfirmed the creation may still be on its way, so that the one
// thing to do is to call EnsureWebhook again, later. If looking fails too, the
// error wraps both, and errors.As gives the creation's.
//
// ErrUnexpectedResponse comes with a webhook if the service has stored another
// url or other events than it was sent, a slash at the end for instance. Ask for
// what that webhook has from then on, because each further call for the old
// parameters creates one more. A webhook also comes with the error if only its
// secret couldn't be had. The other errors are those of CreateWebhook,
// ListWebhooks and GetWebhook.
func (c *Client) EnsureWebhook(ctx context.Context, p CreateWebhookParams) (wh *Webhook, created bool, err error) {
	if err := p.check("EnsureWebhook"); err != nil {
		return nil, false, err
	}
	wh, err = c.find(ctx, p)
	switch {
	case err != nil:
		return nil, false, err
	case wh != nil:
		return wh, false, c.askSecret(ctx, wh)
	}
	wh, err = c.create(ctx, p)
	isUnconfirmed := errors.Is(err, ErrUnconfirmed)
	if wh != nil || !isUnconfirmed && !errors.Is(err, ErrWebhookLimitReached) {
		return wh, wh != nil, err
	}
	wh, look := c.find(ctx, p)
	switch {
	case look != nil:
		return nil, false, fmt.Errorf("%w; looking for it failed too: %w", err, look)
	case wh == nil:
		return nil, false, err
	}
	return wh, isUnconfirmed, c.askSecret(ctx, wh)
}

// create creates what p describes and returns it with its secret. If there is
// both a webhook and an error, it was created all the same.
func (c *Client) create(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	wh, err := c.CreateWebhook(ctx, p)
	if err != nil {
		return nil, err
	}
	wh.URL = cmp.Or(wh.URL, p.URL)
	if len(wh.Events) == 0 {
		wh.Events = slices.Clone(p.Events)
	}
	if subscriptionOf(wh.URL, wh.Events) != subscriptionOf(p.URL, p.Events) {
		// Looked for by what was sent it would never be found, and be created again and again.
		return wh, &Error{Op: "CreateWebhook", StatusCode: http.StatusCreated, Attempts: 1, cause: fmt.Errorf("%w: webhook %q was created as %s, not as %s",
			ErrUnexpectedResponse, wh.ID, describe(wh.URL, wh.Events), describe(p.URL, p.Events))}
	}
	return wh, c.askSecret(ctx, wh)
}

// askSecret asks for a signature secret that was left out, and for nothing else:
// the answer may leave out what is known already.
func (c *Client) askSecret(ctx context.Context, wh *Webhook) error {
	if !wh.SignatureSecret.IsZero() {
		return nil
	}
	full, err := c.GetWebhook(ctx, wh.ID)
	if err == nil {
		wh.SignatureSecret = full.SignatureSecret
	}
	return err
}

// find returns the oldest webhook that p describes, or nil.
func (c *Client) find(ctx context.Context, p CreateWebhookParams) (*Webhook, error) {
	all, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	want := subscriptionOf(p.URL, p.Events)
	i := slices.IndexFunc(all, func(wh *Webhook) bool { return subscriptionOf(wh.URL, wh.Events) == want })
	if i < 0 {
		return nil, nil //nolint:nilnil // that there is none is no error
	}
	return all[i], nil
}

// current returns all webhooks, the oldest first, whichever order the service
// has: so that whoever has to choose among duplicates chooses the same. Seconds
// are as fine as it gets, since not every answer has fractions of them. A webhook
// that can't be compared is an error, lest it be taken for another than it is.
func (c *Client) current(ctx context.Context) ([]*Webhook, error) {
	all, err := Collect(c.Webhooks(ctx, ListOptions{}))
	if err != nil {
		return nil, err
	}
	for _, wh := range all {
		if wh.URL == "" || len(wh.Events) == 0 {
			return nil, &Error{Op: "ListWebhooks", StatusCode: http.StatusOK, Attempts: 1, cause: fmt.Errorf("%w: webhook %q is listed without its url or events", ErrUnexpectedResponse, wh.ID)}
		}
	}
	slices.SortFunc(all, func(a, b *Webhook) int {
		return cmp.Or(cmp.Compare(a.CreatedAt.Unix(), b.CreatedAt.Unix()), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// subscription is what makes two webhooks the same.
type subscription struct{ url, events string }

func subscriptionOf(url string, events []EventType) subscription {
	events = slices.Clone(events)
	slices.Sort(events)
	return subscription{url, fmt.Sprintf("%q", slices.Compact(events))}
}
