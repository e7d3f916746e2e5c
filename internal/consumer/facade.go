package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

var allEvents = []facade.EventType{
	facade.EventLiveStreamBroadcastStarted,
	facade.EventLiveStreamBroadcastEnded,
	facade.EventVideoSourceRecorded,
	facade.EventVideoEncodingQualityCompleted,
	facade.EventVideoCaptionGenerated,
	facade.EventVideoSummaryGenerated,
}

// What fmt, errors, log/slog and encoding/json call is called by name as well.
var (
	_ = facade.Secret.Format
	_ = facade.Secret.MarshalText
	_ = (*facade.Error).Error
	_ = (*facade.Error).Is
	_ = (*facade.Error).Unwrap
	_ = (*facade.Error).LogValue
	_ = facade.Plan.LogValue
	_ = facade.Plan.String

	_ fmt.Formatter          = facade.Secret{}
	_ encoding.TextMarshaler = facade.Secret{}
	_ slog.LogValuer         = (*facade.Error)(nil)
	_ slog.LogValuer         = facade.Plan{}
	_ fmt.Stringer           = facade.Plan{}
)

// manage uses a client that has all the options.
func manage(ctx context.Context) error {
	server := facadetest.NewServer()
	defer server.Close()
	options := []facade.Option{
		facade.WithSandbox(),
		facade.WithBaseURL(server.URL),
		facade.WithHTTPClient(&http.Client{}),
		facade.WithTimeout(10 * time.Second),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2, MinDelay: time.Millisecond, MaxDelay: time.Second}),
		facade.WithTokenExchange(),
		facade.WithLogger(slog.New(slog.DiscardHandler)),
		facade.WithApplication("consumer", "1.0"),
	}
	var client *facade.Client
	client, err := facade.NewClient(server.APIKey, options...)
	if err != nil {
		return err
	}

	created, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: "https://hooks.example.com/apivideo", Events: allEvents})
	if err != nil {
		return err
	}
	got, err := client.GetWebhook(ctx, created.ID)
	if err != nil {
		return err
	}
	if err := unexpected(got.URL == created.URL && slices.Equal(got.Events, created.Events) && got.CreatedAt.Equal(created.CreatedAt) &&
		keeps(got.SignatureSecret), got, created); err != nil {
		return err
	}

	var limit facade.RateLimit
	limit, ok := client.RateLimit()
	if err := unexpected(ok && limit.Remaining < limit.Limit && limit.Reset.After(time.Now()), limit); err != nil {
		return err
	}
	return client.DeleteWebhook(ctx, created.ID)
}

// keeps tells whether a secret is there and doesn't print.
func keeps(secret facade.Secret) bool {
	return !secret.IsZero() && secret.Reveal() != "" && fmt.Sprint(secret) == fmt.Sprint(facade.NewSecret("another"))
}

// list uses pages and iterators.
func list(ctx context.Context) error {
	server := facadetest.NewServer(
		facadetest.WithWebhookLimit(0),
		facadetest.WithRateLimit(0, 0),
		facadetest.WithNewestFirst(),
		facadetest.WithPageBeyondEnd(http.StatusNotFound),
		facadetest.WithClock(time.Now),
	)
	defer server.Close()
	client := server.Client()
	for _, event := range allEvents {
		if _, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: "https://hooks.example.com/" + string(event), Events: []facade.EventType{event}}); err != nil {
			return err
		}
	}

	var page *facade.Page
	page, err := client.ListWebhooks(ctx, facade.ListOptions{Page: 2, PageSize: 4})
	if err != nil {
		return err
	}
	if err := unexpected(len(page.Webhooks) == 2 && page.Number == 2 && page.Size == 4 && page.TotalPages == 2 && page.TotalItems == 6, page); err != nil {
		return err
	}
	pages, err := facade.Collect(client.WebhookPages(ctx, facade.ListOptions{PageSize: 4}))
	if err != nil {
		return err
	}
	all, err := facade.Collect(client.Webhooks(ctx, facade.ListOptions{}))
	if err != nil {
		return err
	}
	summaries := func(wh facade.Webhook) bool { return slices.Contains(wh.Events, facade.EventVideoSummaryGenerated) }
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{Event: facade.EventVideoSummaryGenerated}) {
		if err != nil {
			return err
		}
		if err := unexpected(summaries(*wh), wh); err != nil {
			return err
		}
	}
	return unexpected(len(pages) == 2 && len(all) == 6 && slices.ContainsFunc(server.Webhooks(), summaries), len(pages), len(all))
}

// fail meets every error and reads what it says.
func fail(ctx context.Context) error {
	server := facadetest.NewServer(facadetest.WithWebhookLimit(1), facadetest.WithRateLimit(0, 0))
	defer server.Close()
	client := server.Client(facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))
	params := facade.CreateWebhookParams{URL: "https://hooks.example.com/apivideo", Events: allEvents}

	for status, want := range map[int]error{
		http.StatusUnauthorized:    facade.ErrUnauthorized,
		http.StatusForbidden:       facade.ErrForbidden,
		http.StatusNotFound:        facade.ErrNotFound,
		http.StatusTooManyRequests: facade.ErrTooManyRequests,
		http.StatusBadGateway:      facade.ErrServer,
		http.StatusFound:           facade.ErrUnexpectedResponse,
	} {
		server.Inject(facadetest.Fault{Status: status})
		_, err := client.GetWebhook(ctx, "webhook_1")
		if err := unexpected(errors.Is(err, want), status, err); err != nil {
			return err
		}
	}

	_, err := client.GetWebhook(ctx, "")
	if err := unexpected(errors.Is(err, facade.ErrInvalidArgument), err); err != nil {
		return err
	}
	server.Inject(facadetest.Fault{Handled: true, Reset: facadetest.ResetAfterRead})
	_, err = client.CreateWebhook(ctx, params)
	if err := unexpected(errors.Is(err, facade.ErrUnconfirmed) && len(server.Webhooks()) == 1, err); err != nil {
		return err
	}
	_, err = client.CreateWebhook(ctx, params)
	if err := unexpected(errors.Is(err, facade.ErrWebhookLimitReached), err); err != nil {
		return err
	}
	server.Inject(facadetest.Fault{Status: http.StatusBadRequest, Body: `{"type":"https://docs.api.video/reference/invalid-attribute","title":"An attribute is invalid.","name":"url","detail":"It isn't reached.",` +
		`"problems":[{"type":"https://docs.api.video/reference/invalid-attribute","title":"This attribute is invalid.","name":"url"}]}`})
	_, err = client.CreateWebhook(ctx, params)
	var e *facade.Error
	if err := unexpected(errors.Is(err, facade.ErrBadRequest) && errors.As(err, &e), err); err != nil {
		return err
	}
	named := func(p facade.Problem) bool { return p.Name != "" && p.Title != "" && p.Type != "" }
	return unexpected(e.Op == "CreateWebhook" && e.StatusCode == http.StatusBadRequest && e.Attempts == 1 &&
		e.Type != "" && e.Title != "" && e.Name != "" && e.Detail != "" && slices.ContainsFunc(e.Problems, named) &&
		e.RetryAfter == 0 && e.RateLimit == facade.RateLimit{} && e.Header != nil && len(e.Body) > 0, fmt.Sprintf("%#v", e))
}

// raw uses the generated client, which the facade gives.
func raw(ctx context.Context) error {
	server := facadetest.NewServer()
	defer server.Close()
	return call(ctx, server.Client().Raw())
}

func call(ctx context.Context, client *gen.ClientWithResponses) error {
	created, err := client.CreateWebhookWithResponse(ctx, gen.WebhookCreation{
		URL:    "https://hooks.example.com/apivideo",
		Events: []gen.EventType{gen.EventTypeVideoSummaryGenerated},
	})
	if err != nil || created.JSON201 == nil {
		return fmt.Errorf("create: %w, %s", err, created.Status())
	}
	page, event := 1, gen.EventTypeVideoSummaryGenerated
	listed, err := client.ListWebhooksWithResponse(ctx, &gen.ListWebhooksParams{CurrentPage: &page, Events: &event})
	if err != nil || listed.JSON200 == nil {
		return fmt.Errorf("list: %w, %s", err, listed.Status())
	}
	wh := listed.JSON200.Data[0]
	got, err := client.GetWebhookWithResponse(ctx, wh.WebhookID)
	if err != nil || got.JSON200 == nil || got.JSON200.URL != wh.URL {
		return fmt.Errorf("get: %w, %s", err, got.Body)
	}
	deleted, err := client.DeleteWebhookWithResponse(ctx, wh.WebhookID)
	if err != nil {
		return err
	}
	return unexpected(deleted.StatusCode() == http.StatusNoContent, deleted.Status())
}

// desire has the webhooks that there should be.
func desire(ctx context.Context) error {
	server := facadetest.NewServer(facadetest.WithWebhookLimit(2))
	defer server.Close()
	client := server.Client()
	wanted := facade.CreateWebhookParams{URL: "https://hooks.example.com/live", Events: allEvents}
	for _, url := range []string{wanted.URL, "https://hooks.example.com/old"} {
		_, created, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{URL: url, Events: allEvents[:1]})
		if err := errors.Join(err, unexpected(created, url)); err != nil {
			return err
		}
	}

	options := facade.PlanOptions{Owns: func(wh *facade.Webhook) bool { return wh.URL == "https://hooks.example.com/old" }}
	plan, err := client.PlanWebhooks(ctx, []facade.CreateWebhookParams{wanted}, options)
	if err != nil {
		return err
	}
	if err := unexpected(!plan.Empty() && len(plan.Keep) == 0 && len(plan.Create) == 1 && len(plan.Delete) == 2, plan); err != nil {
		return err
	}
	var applied *facade.Applied
	applied, err = client.ApplyPlan(ctx, plan)
	if err != nil {
		return err
	}
	return unexpected(len(applied.Created) == 1 && len(applied.Deleted) == 2 && applied.Freed == 1 && applied.Left.Empty(), applied)
}
