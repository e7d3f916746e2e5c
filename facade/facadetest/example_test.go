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

var (
	ctx    = context.Background()
	events = []facade.EventType{facade.EventVideoSummaryGenerated}
	params = facade.CreateWebhookParams{URL: "https://hooks.example.com/apivideo", Events: events}
	accept = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
)

// A test of a program that manages webhooks. Subtests can share the server.
func ExampleServer() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	_, err := client.CreateWebhook(ctx, params)
	fmt.Println(err, len(server.Webhooks()), server.Requests()[0].Status)
	server.Reset()
	fmt.Println(len(server.Webhooks()), len(server.Requests()))
	// Output:
	// <nil> 1 201
	// 0 0
}

// A program that creates its own client needs the URL and the key.
func ExampleNewServer() {
	server := facadetest.NewServer()
	defer server.Close()

	client, err := facade.NewClient(server.APIKey, facade.WithBaseURL(server.URL))
	if err != nil {
		panic(err)
	}
	_, err = client.CreateWebhook(ctx, params)
	fmt.Println(err, len(server.Webhooks()))
	// Output: <nil> 1
}

// A create can fail, or only its response can be lost.
func ExampleServer_Inject() {
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

// A test of a receiver that fails at first.
func ExampleServer_Deliver() {
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond))
	defer server.Close()
	failures := 2
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	subscribe(server, receiver.URL) // creates a webhook with server.Client()

	for _, d := range server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}) {
		fmt.Println(d.OK(), d.Attempts)
	}
	// Output: true [{503 <nil>} {503 <nil>} {200 <nil>}]
}

// OK depends on the last attempt.
func ExampleDelivery_OK() {
	d := facadetest.Delivery{Attempts: []facadetest.Attempt{{Status: http.StatusBadGateway}, {Status: http.StatusAccepted}}}
	fmt.Println(d.OK(), facadetest.Delivery{}.OK())
	// Output: true false
}

// Another listener, here with a certificate, serves the same account.
func ExampleServer_ServeHTTP() {
	server := facadetest.NewServer()
	defer server.Close()
	secure := httptest.NewTLSServer(server)
	defer secure.Close()

	client := server.Client(facade.WithBaseURL(secure.URL), facade.WithHTTPClient(secure.Client()))
	_, err := client.CreateWebhook(ctx, params)
	fmt.Println(err, len(server.Webhooks()))
	// Output: <nil> 1
}

// A program that reads its key from the environment can be tested with a fixed key.
func ExampleWithAPIKey() {
	server := facadetest.NewServer(facadetest.WithAPIKey("key-of-the-test"))
	defer server.Close()
	fmt.Println(server.APIKey)
	// Output: key-of-the-test
}

// A receiver should accept events that the service adds later.
func ExampleWithUnknownEvents() {
	server := facadetest.NewServer(facadetest.WithUnknownEvents())
	defer server.Close()
	receiver := httptest.NewServer(accept)
	defer receiver.Close()
	subscribe(server, receiver.URL, "video.new")

	fmt.Println(server.Deliver(ctx, []byte(`{"type":"video.new","videoId":"vi1"}`))[0].OK())
	// Output: true
}

// A test moves the clock forward instead of waiting for the next minute.
func ExampleWithClock() {
	now := time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC) // a concurrent test needs a mutex
	clock := facadetest.WithClock(func() time.Time { return now })
	server := facadetest.NewServer(clock, facadetest.WithRateLimit(1, 1))
	defer server.Close()

	for range 3 {
		_, err := server.Client().ListWebhooks(ctx, facade.ListOptions{})
		fmt.Println(errors.Is(err, facade.ErrTooManyRequests))
		now = now.Add(40 * time.Second)
	}
	// Output:
	// false
	// true
	// false
}

func ExampleWithRateLimit() {
	server := facadetest.NewServer(facadetest.WithRateLimit(100, 1))
	defer server.Close()
	subscribe(server, "https://hooks.example.com/apivideo")

	_, err := server.Client().CreateWebhook(ctx, params) // does not wait for the next minute
	fmt.Println(errors.Is(err, facade.ErrTooManyRequests))
	// Output: true
}

func ExampleWithWebhookLimit() {
	server := facadetest.NewServer(facadetest.WithWebhookLimit(1))
	defer server.Close()
	subscribe(server, "https://hooks.example.com/apivideo")

	_, err := server.Client().CreateWebhook(ctx, params)
	fmt.Println(errors.Is(err, facade.ErrWebhookLimitReached))
	// Output: true
}

// A program that also passes with this option is independent of the order.
func ExampleWithNewestFirst() {
	server := facadetest.NewServer(facadetest.WithNewestFirst())
	defer server.Close()
	subscribe(server, "https://hooks.example.com/first")
	subscribe(server, "https://hooks.example.com/second")

	page, err := server.Client().ListWebhooks(ctx, facade.ListOptions{})
	fmt.Println(page.Webhooks[0].URL, err)
	// Output: https://hooks.example.com/second <nil>
}

func ExampleWithPageBeyondEnd() {
	server := facadetest.NewServer(facadetest.WithPageBeyondEnd(http.StatusNotFound))
	defer server.Close()

	_, err := server.Client().ListWebhooks(ctx, facade.ListOptions{Page: 2})
	fmt.Println(err)
	// Output: apivideo: ListWebhooks: 404 The requested resource was not found. (currentPage)
}

// A receiver with the certificate of a test.
func ExampleWithDeliveryClient() {
	receiver := httptest.NewTLSServer(accept)
	defer receiver.Close()
	server := facadetest.NewServer(facadetest.WithDeliveryClient(receiver.Client()))
	defer server.Close()
	subscribe(server, receiver.URL)

	fmt.Println(server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1"})[0].Attempts)
	// Output: [{202 <nil>}]
}

// A receiver that is too slow. The service disconnects and retries.
func ExampleWithDeliveryTimeout() {
	server := facadetest.NewServer(facadetest.WithDeliveryTimeout(20*time.Millisecond), facadetest.WithDeliveryRetries(0, 0))
	defer server.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http detects a disconnect after the body is read
		<-r.Context().Done()
	}))
	defer receiver.Close()
	subscribe(server, receiver.URL)

	a := server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1"})[0].Attempts[0]
	fmt.Println(a.Status, errors.Is(a.Err, context.DeadlineExceeded))
	// Output: 0 true
}

// A receiver that always fails. The event is lost.
func ExampleWithDeliveryRetries() {
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond))
	defer server.Close()
	receiver := httptest.NewServer(http.NotFoundHandler())
	defer receiver.Close()
	subscribe(server, receiver.URL)

	d := server.Deliver(ctx, &notification.VideoSummaryGenerated{VideoID: "vi1"})[0]
	fmt.Println(d.OK(), len(d.Attempts))
	// Output: false 4
}

// A test of a handler without a server.
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
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, facadetest.NewNotificationRequest(ctx, "/", "webhook_1", signedWith,
			&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"}))
		fmt.Println(rec.Code)
	}
	// Output:
	// live-stream.broadcast.started
	// 202
	// 401
}

// A test of an implementation of the interface.
func ExampleCheckDeduplicator() {
	err := facadetest.CheckDeduplicator(ctx, func() (notification.Deduplicator, error) {
		return notification.NewMemoryDeduplicator(10*time.Minute, 1000), nil
	})
	fmt.Println(err) // after some seconds
}
