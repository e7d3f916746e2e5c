package facade_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

var params = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

// printer is a transport that prints a request instead of sending it.
type printer struct{}

func (printer) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Println(r.Method, r.URL, r.Header.Get("AV-Origin-App"))
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
}

var withPrinter = facade.WithHTTPClient(&http.Client{Transport: printer{}})

// newLogger returns a logger without the attributes that differ from run to run.
func newLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" || a.Key == "wait" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func ExampleNewClient() {
	apiKey := "a key of the sandbox, without the spaces"
	client, err := facade.NewClient(apiKey,
		facade.WithSandbox(),
		facade.WithTimeout(10*time.Second),
		facade.WithLogger(slog.Default()),
		facade.WithApplication("shop", "1.4"),
	)
	fmt.Println(client == nil, err)
	// Output: true apivideo: NewClient: invalid argument: the API key must be printable ASCII without white space and colons
}

func ExampleWithSandbox() {
	client, err := facade.NewClient("a-key-of-the-sandbox", facade.WithSandbox(), withPrinter)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.GetWebhook(context.Background(), "webhook_1")
	// Output: GET https://sandbox.api.video/webhooks/webhook_1
}

// A private gateway has a path. The key is sent over https only.
func ExampleWithBaseURL() {
	_, err := facade.NewClient("some-key", facade.WithBaseURL("http://gateway.example.com/video"))
	fmt.Println(err)

	client, err := facade.NewClient("some-key", facade.WithBaseURL("https://gateway.example.com/video"), withPrinter)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.GetWebhook(context.Background(), "webhook_1")
	// Output:
	// apivideo: NewClient: invalid argument: the base URL "http://gateway.example.com/video" must begin with https://, have a loopback host or be allowed by WithPlainHTTP
	// GET https://gateway.example.com/video/webhooks/webhook_1
}

// A fake server in a private network, for example of docker compose.
func ExampleWithPlainHTTP() {
	_, err := facade.NewClient("some-key", facade.WithBaseURL("http://fake:8080"), facade.WithPlainHTTP())
	fmt.Println(err)
	// Output: <nil>
}

func ExampleWithUnknownEvents() {
	misspelled := facade.CreateWebhookParams{URL: "https://hooks.example.com/", Events: []facade.EventType{"video.encoding.completed"}}
	for _, opts := range [][]facade.Option{{withPrinter}, {withPrinter, facade.WithUnknownEvents()}} {
		client, err := facade.NewClient("some-key", opts...)
		if err != nil {
			log.Fatal(err)
		}
		_, err = client.CreateWebhook(context.Background(), misspelled)
		if errors.Is(err, facade.ErrInvalidArgument) {
			fmt.Println(err)
		}
	}
	// Output:
	// apivideo: CreateWebhook: invalid argument: unknown event "video.encoding.completed"; did you mean "video.encoding.quality.completed"? (WithUnknownEvents allows unknown events)
	// POST https://ws.api.video/webhooks
}

func ExampleEventTypes() {
	for _, event := range facade.EventTypes() {
		fmt.Println(event)
	}
	// Output:
	// live-stream.broadcast.started
	// live-stream.broadcast.ended
	// video.source.recorded
	// video.encoding.quality.completed
	// video.caption.generated
	// video.summary.generated
}

func ExampleWithApplication() {
	client, err := facade.NewClient("some-key", facade.WithApplication("shop", "1.4"), withPrinter)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.GetWebhook(context.Background(), "webhook_1")
	// Output: GET https://ws.api.video/webhooks/webhook_1 shop:1.4
}

// The timeout limits each attempt. The context limits the whole call.
func ExampleWithTimeout() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithTimeout(time.Second))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server.Inject(facadetest.Fault{Delay: time.Hour}) // the first attempt gets no response
	_, err := client.ListWebhooks(ctx, facade.ListOptions{})
	fmt.Println(err, len(server.Requests()))
	// Output: <nil> 2
}

// An interactive program ends early. A delay beyond MaxDelay is an error.
func ExampleWithRetry() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithRetry(facade.RetryPolicy{
		MaxAttempts: 3,
		MinDelay:    10 * time.Millisecond,
		MaxDelay:    2 * time.Second,
	}))

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable, Times: 2})
	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err, len(server.Requests()))

	server.Inject(facadetest.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"X-RateLimit-Retry-After": "3"}})
	_, err = client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err)
	// Output:
	// <nil> 3
	// apivideo: ListWebhooks: 429 Too many requests. (retry after 3s)
}

// The key is exchanged once, and the tokens serve all requests that follow.
func ExampleWithTokenExchange() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithTokenExchange())

	for range 2 {
		if _, err := client.ListWebhooks(context.Background(), facade.ListOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	for _, r := range server.Requests() {
		fmt.Println(r.Method, r.Path, strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	// Output:
	// POST /auth/api-key false
	// GET /webhooks true
	// GET /webhooks true
}

func ExampleWithLogger() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithLogger(newLogger()))

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable})
	_, _ = client.ListWebhooks(context.Background(), facade.ListOptions{Page: 1})
	// Output:
	// level=WARN msg="apivideo: retry" method=GET path=/webhooks status=503 attempt=1
	// level=DEBUG msg="apivideo: request" method=GET path=/webhooks status=200 query="currentPage=1" attempts=2
}

// traced replaces otelhttp.NewTransport(transport) in this example. Each attempt has a span.
type traced struct{ http.RoundTripper }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Println("span:", r.Method, r.URL.Path)
	return t.RoundTripper.RoundTrip(r)
}

// Set Proxy and TLSClientConfig of the transport for a proxy and its certificates. A
// wrapper such as otelhttp adds OpenTelemetry.
func ExampleWithHTTPClient() {
	server := facadetest.NewServer()
	defer server.Close()

	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.MaxConnsPerHost = 4
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: traced{transport}, Timeout: 5 * time.Second}))

	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err)
	// Output:
	// span: GET /webhooks
	// <nil>
}

func ExampleClient() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	ctx := context.Background()
	created, err := client.CreateWebhook(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	wh, err := client.GetWebhook(ctx, created.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(wh.URL, wh.Events)
	page, err := client.ListWebhooks(ctx, facade.ListOptions{Page: 1, PageSize: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("page %d of %d: %d of %d webhooks\n", page.Number, page.TotalPages, len(page.Webhooks), page.TotalItems)
	fmt.Println(client.DeleteWebhook(ctx, wh.ID))
	_, err = client.GetWebhook(ctx, wh.ID)
	fmt.Println(errors.Is(err, facade.ErrNotFound))
	if rl, ok := client.RateLimit(); ok {
		fmt.Println(rl.Remaining, "of", rl.Limit)
	}
	// Output:
	// https://hooks.example.com/apivideo [video.encoding.quality.completed]
	// page 1 of 1: 1 of 1 webhooks
	// <nil>
	// true
	// 97 of 100
}

func ExampleClient_CreateWebhook() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	store := func(_, secret string) error {
		fmt.Println("stored", len(secret), "characters")
		return nil
	}

	create := func(ctx context.Context) error {
		wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{
			URL:    "https://hooks.example.com/apivideo",
			Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
		})
		if err != nil {
			return err
		}
		fmt.Println(wh.URL, wh.SignatureSecret) // the secret prints as [REDACTED]
		return store(wh.ID, wh.SignatureSecret.Reveal())
	}
	fmt.Println(create(context.Background()))
	// Output:
	// https://hooks.example.com/apivideo [REDACTED]
	// stored 30 characters
	// <nil>
}

func ExampleClient_Webhooks() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	if _, err := client.CreateWebhook(context.Background(), params); err != nil {
		log.Fatal(err)
	}

	list := func(ctx context.Context) error {
		for wh, err := range client.Webhooks(ctx, facade.ListOptions{}) {
			if err != nil {
				return err
			}
			fmt.Println(wh.URL, wh.Events)
		}
		return nil
	}
	fmt.Println(list(context.Background()))
	// Output:
	// https://hooks.example.com/apivideo [video.encoding.quality.completed]
	// <nil>
}

func ExampleCollect() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	ctx := context.Background()

	live, err := facade.Collect(client.Webhooks(ctx, facade.ListOptions{
		Event: facade.EventLiveStreamBroadcastStarted,
	}))
	fmt.Println(len(live), err)
	// Output: 0 <nil>
}

// A program that starts twice.
func ExampleClient_EnsureWebhook() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	ctx := context.Background()

	for range 2 {
		wh, created, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{
			URL:    "https://hooks.example.com/apivideo",
			Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(created, wh.URL, wh.SignatureSecret)
	}
	// Output:
	// true https://hooks.example.com/apivideo [REDACTED]
	// false https://hooks.example.com/apivideo [REDACTED]
}

// PlanWebhooks and ApplyPlan reach a desired state.
func ExampleClient_desiredState() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	deploy := func(ctx context.Context, desired []facade.CreateWebhookParams) error {
		plan, err := client.PlanWebhooks(ctx, desired, facade.PlanOptions{})
		if err != nil {
			return err
		}
		fmt.Print(plan)
		done, err := client.ApplyPlan(ctx, plan)
		fmt.Println(len(done.Created), "created,", len(done.Deleted), "deleted")
		return err
	}
	fmt.Println(deploy(context.Background(), []facade.CreateWebhookParams{params}))
	// Output:
	// + https://hooks.example.com/apivideo [video.encoding.quality.completed]
	// 1 to create, 0 to delete, 0 to keep
	// 1 created, 0 deleted
	// <nil>
}

// A program can also make or inspect a plan.
func ExamplePlan() {
	plan := &facade.Plan{
		Keep:   []*facade.Webhook{{ID: "webhook_1", URL: "https://hooks.example.com/new", Events: params.Events}},
		Delete: []*facade.Webhook{{ID: "webhook_2", URL: "https://hooks.example.com/old", Events: params.Events}},
	}
	if !plan.Empty() {
		newLogger().Info("pending", slog.Any("plan", plan.LogValue()))
		fmt.Print(plan.String())
	}
	// Output:
	// level=INFO msg=pending plan.create=[] plan.delete="[https://hooks.example.com/old [video.encoding.quality.completed] (webhook_2)]" plan.keep=1
	// = https://hooks.example.com/new [video.encoding.quality.completed] (webhook_1)
	// - https://hooks.example.com/old [video.encoding.quality.completed] (webhook_2)
	// 0 to create, 1 to delete, 1 to keep
}

func ExampleError() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	describe := func(err error) string {
		var e *facade.Error
		switch {
		case errors.Is(err, facade.ErrTooManyRequests) && errors.As(err, &e):
			return "retry in " + e.RetryAfter.String()
		case errors.Is(err, facade.ErrBadRequest) && errors.As(err, &e):
			return fmt.Sprint("invalid: ", e.Problems)
		default:
			return err.Error()
		}
	}
	server.Inject(
		facadetest.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"X-RateLimit-Retry-After": "42"}},
		facadetest.Fault{Status: http.StatusForbidden},
	)
	for range 2 {
		_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
		fmt.Println(describe(err))
	}
	// Output:
	// retry in 42s
	// apivideo: ListWebhooks: 403 Suspended account
}

// An Error in a log is a group.
func ExampleError_LogValue() {
	err := &facade.Error{Op: "ListWebhooks", StatusCode: http.StatusForbidden, Title: "Suspended account", Attempts: 1}
	newLogger().Error("no list", slog.Any("err", err))
	// Output:
	// level=ERROR msg="no list" err.op=ListWebhooks err.status=403 err.attempts=1 err.msg="apivideo: ListWebhooks: 403 Suspended account"
}

// Reveal returns the text to store. The placeholder is not accepted as a secret.
func ExampleSecret() {
	secret := facade.NewSecret("sig_sec_0000000000000000000000")
	fmt.Printf("%v %+v %x\n", secret, struct{ Secret facade.Secret }{secret}, secret)
	text, err := json.Marshal(secret)
	fmt.Println(string(text), err)
	fmt.Println(secret.IsZero(), secret.Equal(secret), len(secret.Reveal()))
	fmt.Println(secret.UnmarshalText([]byte("[REDACTED]")))
	// Output:
	// [REDACTED] {Secret:[REDACTED]} [REDACTED]
	// "[REDACTED]" <nil>
	// false true 30
	// apivideo: [REDACTED] is the placeholder of a secret; store the result of Secret.Reveal
}

// A secret that was stored when its webhook was created.
func ExampleNewSecret() {
	secret := facade.NewSecret(os.Getenv("APIVIDEO_SIGNATURE_SECRET"))
	if secret.IsZero() {
		fmt.Println("there is none")
	}
	// Output: there is none
}

func ExampleClient_Raw() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	list := func(ctx context.Context) error {
		resp, err := client.Raw().ListWebhooksWithResponse(ctx, &gen.ListWebhooksParams{})
		if err != nil {
			return err
		}
		if resp.JSON200 == nil {
			return errors.New(resp.Status())
		}
		fmt.Println(resp.JSON200.Pagination.ItemsTotal, "webhooks") // the body has signature secrets
		return nil
	}
	fmt.Println(list(context.Background()))
	// Output:
	// 0 webhooks
	// <nil>
}

// The test of a program with a failing server.
func Example_testing() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable})
	_, err := client.CreateWebhook(ctx, params)
	fmt.Println(errors.Is(err, facade.ErrServer), errors.Is(err, facade.ErrUnconfirmed))
	fmt.Println(len(server.Webhooks()), "webhooks after", len(server.Requests()), "request")
	// Output:
	// true true
	// 0 webhooks after 1 request
}
