package facadetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	defaultPageSize = 25
	maxPageSize     = 100
)

// webhooks are the webhooks of the account and their operations.
type webhooks struct {
	config config

	mu     sync.Mutex
	stored []gen.Webhook // oldest first
}

// all returns copies of all webhooks.
func (s *webhooks) all() []facade.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]facade.Webhook, len(s.stored))
	for i, w := range s.stored {
		events := slices.Clone(w.Events)
		createdAt, _ := time.Parse(time.RFC3339, w.CreatedAt) // written by CreateWebhook
		all[i] = facade.Webhook{
			ID:              w.WebhookID,
			URL:             w.URL,
			Events:          events,
			CreatedAt:       createdAt,
			SignatureSecret: facade.NewSecret(w.SignatureSecret),
		}
	}
	return all
}

// reset removes all webhooks.
func (s *webhooks) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = nil
}

// find returns the index of a webhook, or -1 if the ID is unknown. The caller
// holds the lock.
func (s *webhooks) find(id string) int {
	return slices.IndexFunc(s.stored, func(w gen.Webhook) bool { return w.WebhookID == id })
}

// CreateWebhook adds a webhook. Like the service it accepts duplicates.
func (s *webhooks) CreateWebhook(_ context.Context, request gen.CreateWebhookRequestObject) (gen.CreateWebhookResponseObject, error) {
	createdAt, err := s.config.now().UTC().Truncate(time.Millisecond).MarshalText() // in milliseconds, as the service
	if err != nil {
		return nil, err
	}
	webhook := gen.Webhook{
		WebhookID:       "webhook_" + randomText(22),
		CreatedAt:       string(createdAt),
		Events:          request.Body.Events,
		URL:             request.Body.URL,
		SignatureSecret: "sig_sec_" + randomText(22),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit := s.config.webhookLimit; limit > 0 && len(s.stored) >= limit {
		return gen.CreateWebhook400JSONResponse{BadRequestJSONResponse: gen.BadRequestJSONResponse{Body: errWebhookLimit}}, nil
	}
	s.stored = append(s.stored, webhook)
	return gen.CreateWebhook201JSONResponse{Body: webhook}, nil
}

// GetWebhook returns a webhook.
func (s *webhooks) GetWebhook(_ context.Context, request gen.GetWebhookRequestObject) (gen.GetWebhookResponseObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(request.WebhookID)
	if i < 0 {
		return gen.GetWebhook404JSONResponse{NotFoundJSONResponse: gen.NotFoundJSONResponse{Body: errNotFound("webhookId")}}, nil
	}
	return gen.GetWebhook200JSONResponse{Body: s.stored[i]}, nil
}

// DeleteWebhook removes a webhook.
func (s *webhooks) DeleteWebhook(_ context.Context, request gen.DeleteWebhookRequestObject) (gen.DeleteWebhookResponseObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(request.WebhookID)
	if i < 0 {
		return gen.DeleteWebhook404JSONResponse{NotFoundJSONResponse: gen.NotFoundJSONResponse{Body: errNotFound("webhookId")}}, nil
	}
	s.stored = slices.Delete(s.stored, i, i+1)
	return gen.DeleteWebhook204Response{}, nil
}

// ListWebhooks returns a page of all webhooks, or of those subscribed to an event.
func (s *webhooks) ListWebhooks(_ context.Context, request gen.ListWebhooksRequestObject) (gen.ListWebhooksResponseObject, error) {
	page, size := 1, defaultPageSize
	if p := request.Params.CurrentPage; p != nil {
		page = *p
	}
	if p := request.Params.PageSize; p != nil {
		size = *p
	}
	var event gen.EventType
	if p := request.Params.Events; p != nil {
		event = *p
	}
	switch {
	case page < 1:
		return listError(errInvalidQuery("currentPage")), nil
	case size < 1 || size > maxPageSize:
		return listError(errInvalidQuery("pageSize")), nil
	case event != "" && !s.config.accepts(event):
		return listError(errInvalidQuery("events")), nil
	}

	found := s.subscribed(event)
	// An empty list has one page too, as the target of the link to the last page.
	pages := max(1, (len(found)+size-1)/size)
	data := []gen.Webhook{}
	if page <= pages {
		begin := (page - 1) * size
		data = found[begin:min(begin+size, len(found))]
	} else if e, ok := s.pageBeyondEndError(); ok {
		return listError(e), nil
	}
	return gen.ListWebhooks200JSONResponse{Body: gen.WebhookList{
		Data: data,
		Pagination: gen.Pagination{
			CurrentPage:      float64(page),
			CurrentPageItems: float64(len(data)),
			PageSize:         float64(size),
			PagesTotal:       float64(pages),
			ItemsTotal:       float64(len(found)),
			Links:            pageLinks(event, page, size, pages),
		},
	}}, nil
}

// subscribed returns the webhooks subscribed to an event in the order of lists.
// An empty event means all webhooks.
func (s *webhooks) subscribed(event gen.EventType) []gen.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []gen.Webhook{}
	for _, w := range s.stored {
		if event == "" || slices.Contains(w.Events, event) {
			found = append(found, w)
		}
	}
	if s.config.newestFirst {
		slices.Reverse(found)
	}
	return found
}

// pageBeyondEndError returns the error for a page beyond the last. It returns false
// if such a page is a success.
func (s *webhooks) pageBeyondEndError() (gen.Error, bool) {
	switch s.config.pageBeyondEnd {
	case http.StatusBadRequest:
		return errInvalidQuery("currentPage"), true
	case http.StatusNotFound:
		return errNotFound("currentPage"), true
	}
	return gen.Error{}, false
}

// A listError is an error response to a list with any status. The contract and gen
// have no 404 for lists.
type listError gen.Error

// VisitListWebhooksResponse writes the response.
func (e listError) VisitListWebhooksResponse(w http.ResponseWriter) error {
	writeError(w, gen.Error(e))
	return nil
}

// pageLinks returns the links of a page, relative and with the filter of the page.
func pageLinks(event gen.EventType, page, size, pages int) json.RawMessage {
	links := []gen.PaginationLink{}
	add := func(rel string, number int) {
		q := url.Values{}
		if event != "" {
			q.Set("events", string(event))
		}
		q.Set("currentPage", strconv.Itoa(number))
		q.Set("pageSize", strconv.Itoa(size))
		links = append(links, gen.PaginationLink{Rel: rel, URI: "/webhooks?" + q.Encode()})
	}
	add("self", page)
	add("first", 1)
	if page > 1 {
		add("previous", min(page-1, pages))
	}
	if page < pages {
		add("next", page+1)
	}
	add("last", pages)
	b, _ := json.Marshal(links) // strings are always valid JSON
	return b
}
