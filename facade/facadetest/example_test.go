package facadetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

var params = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoSummaryGenerated},
}

// A test of a program that manages webhooks.
func ExampleServer() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	wh, err := client.CreateWebhook(ctx, params)
	if err != nil {
		panic(err)
	}
	if _, err := client.CreateWebhook(ctx, params); err != nil {
		panic(err)
	}
	if err := client.DeleteWebhook(ctx, wh.ID); err != nil {
		panic(err)
	}
	for _, r := range server.Requests() {
		fmt.Println(r.Method, r.Status)
	}
	for _, left := range server.Webhooks() {
		fmt.Println(left.URL, left.ID == wh.ID)
	}
	// Output:
	// POST 201
	// POST 201
	// DELETE 204
	// https://hooks.example.com/apivideo false
}

// A program that makes its client itself needs the url and the key.
func ExampleNewServer() {
	server := facadetest.NewServer()
	defer server.Close()

	client, err := facade.NewClient(server.APIKey, facade.WithBaseURL(server.URL))
	if err != nil {
		panic(err)
	}
	page, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println(page.TotalItems)
	// Output: 0
}

// Options of one's own come after those of the server.
func ExampleServer_Client() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithTokenExchange())

	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err, server.Requests()[0].Path)
	// Output: <nil> /auth/api-key
}

// What may go wrong with a create: it fails, or only its answer does.
func ExampleServer_Inject() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	isCreate := func(r *http.Request) bool { return r.Method == http.MethodPost }

	server.Inject(
		facadetest.Fault{Match: isCreate, Status: http.StatusBadGateway, Body: "<html>"},
		facadetest.Fault{Match: isCreate, Process: true, Reset: facadetest.ResetAfterRead},
		facadetest.Fault{Match: isCreate, Truncate: true},
	)
	for range 3 {
		_, err := client.CreateWebhook(ctx, params)
		fmt.Println(errors.Is(err, facade.ErrUnconfirmed), len(server.Webhooks()))
	}
	// Output:
	// true 0
	// true 1
	// true 2
}

// Another listener, here one with a certificate, serves the same account.
func ExampleServer_ServeHTTP() {
	server := facadetest.NewServer()
	defer server.Close()
	secure := httptest.NewTLSServer(server)
	defer secure.Close()

	client := server.Client(facade.WithBaseURL(secure.URL), facade.WithHTTPClient(secure.Client()))
	_, err := client.CreateWebhook(context.Background(), params)
	fmt.Println(err, len(server.Webhooks()))
	// Output: <nil> 1
}

// A clock that a test sets forward ends minutes and tokens without waiting.
func ExampleWithClock() {
	ctx := context.Background()
	now := time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC) // behind a mutex, if the test is concurrent
	server := facadetest.NewServer(
		facadetest.WithClock(func() time.Time { return now }),
		facadetest.WithRateLimit(1, 1),
	)
	defer server.Close()
	client := server.Client(facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))

	for range 2 {
		_, err := client.ListWebhooks(ctx, facade.ListOptions{})
		fmt.Println(errors.Is(err, facade.ErrTooManyRequests))
	}
	now = now.Add(time.Minute)
	_, err := client.ListWebhooks(ctx, facade.ListOptions{})
	fmt.Println(errors.Is(err, facade.ErrTooManyRequests))
	// Output:
	// false
	// true
	// false
}

func ExampleWithRateLimit() {
	ctx := context.Background()
	server := facadetest.NewServer(facadetest.WithRateLimit(100, 1))
	defer server.Close()
	client := server.Client() // waits for a second at most, and not for the next minute

	for range 2 {
		_, err := client.CreateWebhook(ctx, params)
		fmt.Println(errors.Is(err, facade.ErrTooManyRequests))
	}
	// Output:
	// false
	// true
}

func ExampleWithWebhookLimit() {
	ctx := context.Background()
	server := facadetest.NewServer(facadetest.WithWebhookLimit(1))
	defer server.Close()
	client := server.Client()

	for range 2 {
		_, err := client.CreateWebhook(ctx, params)
		fmt.Println(errors.Is(err, facade.ErrWebhookLimitReached))
	}
	// Output:
	// false
	// true
}

// Code that works in either order depends on none.
func ExampleWithNewestFirst() {
	ctx := context.Background()
	for _, opts := range [][]facadetest.Option{nil, {facadetest.WithNewestFirst()}} {
		server := facadetest.NewServer(opts...)
		client := server.Client()
		first, err := client.CreateWebhook(ctx, params)
		if err != nil {
			panic(err)
		}
		if _, err := client.CreateWebhook(ctx, params); err != nil {
			panic(err)
		}
		page, err := client.ListWebhooks(ctx, facade.ListOptions{})
		if err != nil {
			panic(err)
		}
		fmt.Println(page.Webhooks[0].ID == first.ID)
		server.Close()
	}
	// Output:
	// true
	// false
}

func ExampleWithPageBeyondEnd() {
	for _, status := range []int{http.StatusOK, http.StatusNotFound} {
		server := facadetest.NewServer(facadetest.WithPageBeyondEnd(status))
		_, err := server.Client().ListWebhooks(context.Background(), facade.ListOptions{Page: 2})
		fmt.Println(err)
		server.Close()
	}
	// Output:
	// <nil>
	// apivideo: ListWebhooks: 404 The requested resource was not found. (currentPage)
}

// A receiver that takes too long: the service has left, and tries again.
func ExampleWithDeliveryTimeout() {
	ctx := context.Background()
	server := facadetest.NewServer(
		facadetest.WithDeliveryTimeout(20*time.Millisecond),
		facadetest.WithDeliveryRetries(0, 0),
	)
	defer server.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that nobody notices that the sender left
		<-r.Context().Done()
	}))
	defer receiver.Close()
	if _, err := server.Client().CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: params.Events}); err != nil {
		panic(err)
	}

	for _, d := range server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1"}) {
		fmt.Println(d.OK(), d.Attempts[0].Status, errors.Is(d.Attempts[0].Err, context.DeadlineExceeded))
	}
	// Output: false 0 true
}

// A receiver that never takes it. What the service gives up is lost.
func ExampleWithDeliveryRetries() {
	ctx := context.Background()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond))
	defer server.Close()
	receiver := httptest.NewServer(http.NotFoundHandler())
	defer receiver.Close()
	if _, err := server.Client().CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: params.Events}); err != nil {
		panic(err)
	}

	for _, d := range server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1"}) {
		fmt.Println(d.OK(), len(d.Attempts))
	}
	// Output: false 4
}

// A delivery is told by its last attempt.
func ExampleDelivery_OK() {
	d := facadetest.Delivery{Attempts: []facadetest.Attempt{{Status: http.StatusBadGateway}, {Status: http.StatusAccepted}}}
	fmt.Println(d.OK())
	// Output: true
}

// A test of a receiver that fails at first.
func ExampleServer_Deliver() {
	ctx := context.Background()
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond))
	defer server.Close()
	failures := 2
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	if _, err := server.Client().CreateWebhook(ctx, facade.CreateWebhookParams{
		URL:    receiver.URL,
		Events: []facade.EventType{facade.EventVideoSummaryGenerated},
	}); err != nil {
		panic(err)
	}

	for _, d := range server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}) {
		fmt.Println(d.OK(), d.Attempts)
	}
	// Output: true [{503 <nil>} {503 <nil>} {200 <nil>}]
}

// A test of a handler, without any server.
func ExampleNewNotificationRequest() {
	secret := facade.NewSecret("sig_sec_1")
	verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
	if err != nil {
		panic(err)
	}
	handler := notification.NewHandler(verifier, func(_ context.Context, n *notification.Notification) error {
		fmt.Println(n.Type)
		return nil
	})

	for _, signedWith := range []facade.Secret{secret, facade.NewSecret("a guess")} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, facadetest.NewNotificationRequest(context.Background(), "/", "webhook_1", signedWith,
			&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"}))
		fmt.Println(answer.Code)
	}
	// Output:
	// live-stream.broadcast.started
	// 202
	// 401
}

// A test of an implementation of the interface.
func ExampleCheckDeduplicator() {
	err := facadetest.CheckDeduplicator(context.Background(), func() (notification.Deduplicator, error) {
		return notification.NewMemoryDeduplicator(10*time.Minute, 1000), nil
	})
	fmt.Println(err)
	// Output: <nil>
}
