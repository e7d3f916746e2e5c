package facade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"

	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	defaultPageSize = 25 // of the service
	maxPageSize     = 100
	// maxScans limits the scans of Webhooks over a changing list. A loop body with
	// a deletion of each webhook halves the list in each scan. Ten scans therefore
	// suffice for 500 pages.
	maxScans = 10
)

// ListOptions selects webhooks. The zero value selects all.
type ListOptions struct {
	// Event selects the webhooks with a subscription to the event. Empty means all.
	Event EventType
	// Page is the number of the first page, counted from 1. Zero means 1.
	Page int
	// PageSize is the number of webhooks per page, at most 100. Zero means the
	// default of the service, 25, for ListWebhooks and 100 for Webhooks.
	PageSize int
}

// ListWebhooks returns a page of the webhooks. The response of the service for a page
// beyond the end is not documented.
func (c *Client) ListWebhooks(ctx context.Context, opts ListOptions) (*Page, error) {
	const op = "ListWebhooks"
	if err := c.validator.checkListOptions(opts); err != nil {
		return nil, c.invalid(op, err)
	}
	var params gen.ListWebhooksParams
	if opts.Event != "" {
		params.Events = &opts.Event
	}
	if opts.Page != 0 {
		params.CurrentPage = &opts.Page
	}
	if opts.PageSize != 0 {
		params.PageSize = &opts.PageSize
	}
	var model struct {
		Data       []webhookModel `json:"data"`
		Pagination gen.Pagination `json:"pagination"`
	}
	// An element without an ID remains if the response has no data.
	model.Data = make([]webhookModel, 1, cmp.Or(opts.PageSize, defaultPageSize))
	r, err := do(ctx, c.transport, op, &model, func() (*http.Request, error) {
		return gen.NewListWebhooksRequest(c.server, &params)
	})
	if err != nil {
		return nil, err
	}
	page := &Page{
		Number:     toInt(model.Pagination.CurrentPage),
		Size:       toInt(model.Pagination.PageSize),
		TotalPages: toInt(model.Pagination.PagesTotal),
		TotalItems: toInt(model.Pagination.ItemsTotal),
	}
	if model.Data == nil || slices.ContainsFunc(model.Data, func(m webhookModel) bool { return m.WebhookID == "" }) {
		return nil, invalidResponse(c.transport, op, r, "a list without data, or a webhook without an ID")
	}
	isFull := len(model.Data) >= page.Size
	if page.Number < 1 || page.Size < 1 || page.TotalPages < 1 && (page.TotalItems > 0 || isFull) {
		return nil, invalidResponse(c.transport, op, r, "a list with invalid pagination")
	}
	page.Webhooks = newWebhooks(model.Data)
	return page, nil
}

// checkListOptions returns the reason why opts are invalid, or nil.
func (v validator) checkListOptions(opts ListOptions) error {
	switch {
	case opts.Page < 0:
		return fmt.Errorf("the page %d is negative", opts.Page)
	case opts.PageSize < 0 || opts.PageSize > maxPageSize:
		return fmt.Errorf("the page size %d is not between 1 and %d", opts.PageSize, maxPageSize)
	case opts.Event != "":
		return v.checkEvent(opts.Event)
	}
	return nil
}

// toInt converts a number of the pagination, which has up to 31 bits.
func toInt(f float64) int { return int(max(-1, min(f, math.MaxInt32))) }

// Webhooks returns an iterator over the webhooks, beginning at opts.Page. Every
// webhook that exists during the whole iteration is yielded exactly once, even if
// webhooks are created or deleted concurrently or by the loop body. The order is not
// documented.
//
// Fewer than 100 webhooks need a single request. A longer list is scanned until two
// scans agree; see the section Pagination of the package comment. The first error
// is yielded with a nil webhook and ends the iteration. A list that changes during
// each of ten scans is ErrUnexpectedResponse.
func (c *Client) Webhooks(ctx context.Context, opts ListOptions) iter.Seq2[*Webhook, error] {
	if opts.PageSize == 0 {
		opts.PageSize = maxPageSize
	}
	return func(yield func(*Webhook, error) bool) {
		s := scanner{client: c, opts: opts, yield: yield, seen: make(map[string]int)}
		for s.n = 1; s.n <= maxScans; s.n++ {
			if s.scan(ctx) {
				return
			}
		}
		yield(nil, c.errorf("ListWebhooks", "%w: the list changed during each of %d scans: %w", ErrUnexpectedResponse, maxScans, s.reason))
	}
}

// A scanner iterates over a list by scanning all pages, several times if necessary.
//
// A scan misses a webhook only if the webhook moves to an earlier page during the scan.
// Then webhooks before the missed one were deleted. If the scan has read a deleted
// webhook, the next scan differs. Otherwise webhooks were created and deleted during
// the scan, and the scan reads a webhook twice. A scan without duplicates has therefore
// missed nothing if the next scan is equal, as long as the order is stable.
type scanner struct {
	client *Client
	opts   ListOptions
	yield  func(*Webhook, error) bool
	seen   map[string]int // by ID, the last scan with the webhook
	n      int            // number of the scan, from 1
	count  int            // webhooks in the previous scan
	moved  bool           // the previous scan has read a webhook twice
	reason error          // why another scan is necessary
}

var errListChanged = errors.New("two scans differ")

// scan yields the webhooks that no earlier scan has seen. The result reports whether
// the iteration is complete, or ended by an error or by the caller.
func (s *scanner) scan(ctx context.Context) bool {
	opts, start := s.opts, cmp.Or(s.opts.Page, 1)
	var first, page *Page
	count, isSame, moved := 0, s.n > 1 && !s.moved, false
	s.reason = errListChanged
	for opts.Page = start; ; opts.Page++ {
		next, err := s.client.ListWebhooks(ctx, opts)
		isBeyond := first != nil && opts.Page > page.TotalPages
		if first != nil && isGone(err) {
			if !isBeyond { // the list has become shorter
				isSame, s.reason = false, err
			}
			break
		}
		if err != nil {
			s.yield(nil, err)
			return true
		}
		page = next
		if first == nil {
			first = page
			if page.Number < start || start > 1 && page.TotalPages < start {
				return true // the page does not exist
			}
		}
		before := count
		for _, wh := range page.Webhooks {
			last := s.seen[wh.ID]
			if last == s.n {
				moved = moved || !isBeyond // a server may repeat the last page
				continue
			}
			s.seen[wh.ID] = s.n
			count++
			isSame = isSame && last == s.n-1
			if last == 0 && !s.yield(wh, nil) {
				return true
			}
		}
		isLast := opts.Page >= page.TotalPages && len(page.Webhooks) < page.Size
		if isLast && page == first {
			return true // a single response is consistent
		}
		// A full page may be followed by webhooks that were created after the count
		// of the service. A server without support for page numbers repeats a page.
		if isLast || count == before || opts.Page > first.TotalPages {
			break
		}
	}
	isSame = isSame && count == s.count
	s.count, s.moved = count, moved
	return isSame
}

// isGone reports whether err means that the page does not exist.
func isGone(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadRequest)
}

// Collect returns all values of seq until the first error, and the error. The
// values before the error are returned, too.
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
