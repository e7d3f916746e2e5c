package facade

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"

	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	maxPageSize = 100
	// maxWalks bounds how often Webhooks goes over a list that doesn't hold
	// still. A loop body that deletes what it is given halves the list each time,
	// so ten are enough for a thousand pages.
	maxWalks = 10
)

// ListOptions chooses what to list. The zero value means everything.
type ListOptions struct {
	// Event leaves out webhooks that aren't subscribed to it, if set.
	Event EventType
	// Page is where to start, counted from 1. Zero means 1.
	Page int
	// PageSize is how many webhooks to ask for at once, up to 100. Zero means
	// the service's default of 25 for ListWebhooks, and 100 for the iterators.
	PageSize int
}

// ListWebhooks returns one page of the account's webhooks. What a page beyond
// the last one gives is up to the service.
func (c *Client) ListWebhooks(ctx context.Context, opts ListOptions) (*Page, error) {
	const op = "ListWebhooks"
	if opts.Page < 0 {
		return nil, invalid(op, "the page must not be negative")
	}
	if opts.PageSize < 0 || opts.PageSize > maxPageSize {
		return nil, invalid(op, "the page size must be between 1 and %d", maxPageSize)
	}
	var params gen.ListWebhooksParams
	if opts.Event != "" {
		event := gen.EventType(opts.Event)
		params.Events = &event
	}
	if opts.Page != 0 {
		params.CurrentPage = &opts.Page
	}
	if opts.PageSize != 0 {
		params.PageSize = &opts.PageSize
	}
	ctx, t := withTries(ctx)
	resp, err := c.low.ListWebhooks(ctx, &params)
	var model gen.WebhookList
	if err := call(op, http.StatusOK, &model, t, resp, err); err != nil {
		return nil, err
	}
	if p := model.Pagination; model.Data == nil || p.CurrentPage < 1 || p.PageSize < 1 ||
		p.ItemsTotal < len(model.Data) || p.ItemsTotal > 0 && p.PagesTotal < 1 {
		// Without sound counts the beginning of a list can't be told from all of it.
		return nil, unusable(op, t, resp, "a list without data or with pagination that can't be")
	}
	page := &Page{
		Webhooks:   make([]*Webhook, len(model.Data)),
		Number:     model.Pagination.CurrentPage,
		Size:       model.Pagination.PageSize,
		TotalPages: model.Pagination.PagesTotal,
		TotalItems: model.Pagination.ItemsTotal,
	}
	for i := range model.Data {
		if model.Data[i].WebhookID == "" {
			return nil, unusable(op, t, resp, "a webhook without id")
		}
		page.Webhooks[i] = newWebhook(&model.Data[i])
	}
	return page, nil
}

// WebhookPages returns an iterator over the pages of a list, each as the service
// served it, from opts.Page to the one that was the last at first, or until the
// service has no more: while others create and delete, webhooks move between
// pages, and one may come twice or not at all. Webhooks takes care of that.
//
// The first error is yielded and ends the iteration. Ranging again starts anew,
// and nothing is fetched ahead.
func (c *Client) WebhookPages(ctx context.Context, opts ListOptions) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		opts := opts
		if opts.Page == 0 {
			opts.Page = 1
		}
		if opts.PageSize == 0 {
			opts.PageSize = maxPageSize
		}
		for last := math.MaxInt; ; opts.Page++ {
			page, err := c.ListWebhooks(ctx, opts)
			if err != nil {
				yield(nil, err)
				return
			}
			last = min(last, page.TotalPages) // a list that grows has an end all the same
			if !yield(page, nil) || opts.Page >= last || len(page.Webhooks) == 0 {
				return
			}
		}
	}
}

// Webhooks returns an iterator over the account's webhooks. Each one that
// exists from the first request to the last is yielded exactly once, whatever
// others create and delete meanwhile, and the body of the loop as well; one that
// is created or deleted on the way may be yielded or not. The order is the
// service's, which it doesn't promise.
//
// Up to 100 webhooks, and so every ordinary account, are a single request. A
// longer list takes one per 100 while it holds still. If its counts change or
// don't add up, the list is gone over again for what was missed. What counts
// can't show is missed: one webhook deleted and another created between the
// same two requests.
//
// The first error is yielded with a nil webhook and ends the iteration; that a
// list never holds still is ErrUnexpectedResponse. Ranging again starts anew,
// and nothing is fetched ahead. If opts.Page is not the first, what lies before
// it isn't looked at.
func (c *Client) Webhooks(ctx context.Context, opts ListOptions) iter.Seq2[*Webhook, error] {
	return func(yield func(*Webhook, error) bool) {
		seen := make(map[string]int) // by id, the last walk that met it
		var again error
		for n := 1; n <= maxWalks; n++ {
			var done bool
			if done, again = c.walk(ctx, opts, n, seen, yield); done {
				return
			}
		}
		yield(nil, &Error{Op: "ListWebhooks", Attempts: 1, cause: fmt.Errorf("%w: the list didn't hold still on any of %d walks over it: %w", ErrUnexpectedResponse, maxWalks, again)})
	}
}

// walk goes over the list for the nth time and yields what was never seen. It
// is done if that was all of the list, or if yield or an error ended it;
// otherwise it returns why the list has to be gone over again.
func (c *Client) walk(ctx context.Context, opts ListOptions, n int, seen map[string]int, yield func(*Webhook, error) bool) (done bool, again error) {
	var first *Page
	start, met := max(opts.Page, 1), 0
	for page, err := range c.WebhookPages(ctx, opts) {
		switch {
		case err != nil && first != nil && isGone(err):
			return false, err // the list has become too short for this page
		case err != nil:
			yield(nil, err)
			return true, nil
		case first == nil && (page.Number < start || page.TotalPages < start):
			return true, nil // there is no such page, and this one perhaps the last
		case first == nil:
			first = page
		case page.TotalItems != first.TotalItems:
			again = errMoved
		}
		before := met
		for _, wh := range page.Webhooks {
			last := seen[wh.ID]
			if last == n {
				again = errMoved // from an earlier page to this one
				continue
			}
			seen[wh.ID] = n
			met++
			if last == 0 && !yield(wh, nil) {
				return true, nil
			}
		}
		if met == before {
			break // lest a server that ignores the page number keeps the walk going
		}
	}
	if met != max(0, first.TotalItems-(start-1)*first.Size) {
		again = errMoved
	}
	return again == nil, again
}

var errMoved = errors.New("its counts changed or don't add up")

// isGone tells an answer that says there is no such page.
func isGone(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadRequest)
}

// Collect returns all that seq yields until its first error, and that error.
// What came before the error is returned too.
func Collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}
