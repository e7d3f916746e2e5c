package facade_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
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

func ExampleNewClient() {
	client, err := facade.NewClient(os.Getenv("APIVIDEO_API_KEY"))
	if errors.Is(err, facade.ErrInvalidArgument) {
		fmt.Println("no key, no client")
	}
	_ = client
	// Output: no key, no client
}

func ExampleNewClient_options() {
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

// printer is a transport that prints a request instead of sending it.
type printer struct{}

func (printer) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Println(r.Method, r.URL, r.Header.Get("AV-Origin-App"))
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
}

func ExampleWithSandbox() {
	client, err := facade.NewClient("a-key-of-the-sandbox",
		facade.WithSandbox(),
		facade.WithHTTPClient(&http.Client{Transport: printer{}}),
	)
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

	client, err := facade.NewClient("some-key",
		facade.WithBaseURL("https://gateway.example.com/video"),
		facade.WithHTTPClient(&http.Client{Transport: printer{}}),
	)
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
	ctx := context.Background()
	misspelled := facade.CreateWebhookParams{URL: "https://hooks.example.com/", Events: []facade.EventType{"video.encoding.completed"}}

	client, err := facade.NewClient("some-key", facade.WithHTTPClient(&http.Client{Transport: printer{}}))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.CreateWebhook(ctx, misspelled)
	fmt.Println(err)

	client, err = facade.NewClient("some-key", facade.WithHTTPClient(&http.Client{Transport: printer{}}), facade.WithUnknownEvents())
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.CreateWebhook(ctx, misspelled)
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
	client, err := facade.NewClient("some-key",
		facade.WithApplication("shop", "1.4"),
		facade.WithHTTPClient(&http.Client{Transport: printer{}}),
	)
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

// An interactive program ends early.
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

	// A delay beyond MaxDelay is an error.
	server.Inject(facadetest.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"X-RateLimit-Retry-After": "3"}})
	_, err = client.ListWebhooks(context.Background(), facade.ListOptions{})
	var e *facade.Error
	if errors.As(err, &e) {
		fmt.Println(e.Attempts, e.RetryAfter)
	}
	// Output:
	// <nil> 3
	// 1 3s
}

// Each request is sent a single time.
func ExampleWithRetry_off() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable})
	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(errors.Is(err, facade.ErrServer), len(server.Requests()))
	// Output: true 1
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

// withoutTime removes the attributes that differ from run to run.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "duration" || a.Key == "wait" {
		return slog.Attr{}
	}
	return a
}

func ExampleWithLogger() {
	server := facadetest.NewServer()
	defer server.Close()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level:       slog.LevelDebug, // includes each call
		ReplaceAttr: withoutTime,
	}))
	client := server.Client(facade.WithLogger(logger))

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable})
	_, _ = client.ListWebhooks(context.Background(), facade.ListOptions{Page: 1})
	// Output:
	// level=WARN msg="apivideo: retry" method=GET path=/webhooks status=503 attempt=1
	// level=DEBUG msg="apivideo: request" method=GET path=/webhooks status=200 query="currentPage=1" attempts=2
}

func ExampleWithHTTPClient() {
	server := facadetest.NewServer()
	defer server.Close()

	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.MaxConnsPerHost = 4
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: transport, Timeout: 5 * time.Second}))

	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err)
	// Output: <nil>
}

// traced replaces otelhttp.NewTransport(http.DefaultTransport) in this example. Each
// attempt has a span, and the request has the ID of the span.
type traced struct{ next http.RoundTripper }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		fmt.Println("span:", r.Method, r.URL.Path, resp.StatusCode)
	}
	return resp, err
}

// OpenTelemetry is a transport. Use otelhttp.NewTransport instead of traced. The
// context of a method is the context of each request, so spans have parents.
func ExampleWithHTTPClient_openTelemetry() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: traced{http.DefaultTransport}}))

	server.Inject(facadetest.Fault{Status: http.StatusServiceUnavailable})
	if _, err := client.ListWebhooks(context.Background(), facade.ListOptions{}); err != nil {
		log.Fatal(err)
	}
	for _, r := range server.Requests() {
		fmt.Println(r.Header.Get("Traceparent"))
	}
	// Output:
	// span: GET /webhooks 503
	// span: GET /webhooks 200
	// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
}

// The certificate of a proxy is signed by a private authority. Without Proxy the
// environment selects the proxy, as in http.DefaultTransport.
func ExampleWithHTTPClient_proxyAndCertificates() {
	server := facadetest.NewServer()
	defer server.Close()
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the proxy is asked to", r.Method, r.URL.Path)
		server.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}) // in a file, usually

	roots, err := x509.SystemCertPool()
	if err != nil {
		log.Fatal(err)
	}
	if !roots.AppendCertsFromPEM(authority) {
		log.Fatal("no certificate")
	}
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.Proxy = http.ProxyURL(proxyURL)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}))

	_, err = client.ListWebhooks(context.Background(), facade.ListOptions{})
	fmt.Println(err)
	// Output:
	// the proxy is asked to GET /webhooks
	// <nil>
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
	if err := create(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// https://hooks.example.com/apivideo [REDACTED]
	// stored 30 characters
}

// The service created the webhook, and the response was lost.
func ExampleClient_CreateWebhook_unconfirmed() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	create := func(ctx context.Context, p facade.CreateWebhookParams) (*facade.Webhook, error) {
		wh, err := client.CreateWebhook(ctx, p)
		if !errors.Is(err, facade.ErrUnconfirmed) {
			return wh, err
		}
		for wh, listErr := range client.Webhooks(ctx, facade.ListOptions{}) {
			if listErr != nil {
				return nil, errors.Join(err, listErr)
			}
			if wh.URL == p.URL { // the URL belongs to this program
				return wh, nil
			}
		}
		return nil, err // the webhook does not exist so far
	}

	server.Inject(facadetest.Fault{Process: true, Reset: facadetest.ResetAfterRead})
	wh, err := create(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(wh.URL, len(server.Webhooks()))
	// Output: https://hooks.example.com/apivideo 1
}

func ExampleClient_GetWebhook() {
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

	_, err = client.GetWebhook(ctx, "..") // would be another route
	fmt.Println(err)
	// Output:
	// https://hooks.example.com/apivideo [video.encoding.quality.completed]
	// apivideo: GetWebhook: invalid argument: the webhook ID ".." is invalid
}

func ExampleClient_ListWebhooks() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	ctx := context.Background()
	for range 3 {
		if _, err := client.CreateWebhook(ctx, params); err != nil {
			log.Fatal(err)
		}
	}

	page, err := client.ListWebhooks(ctx, facade.ListOptions{Page: 2, PageSize: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("page %d of %d: %d of %d webhooks\n", page.Number, page.TotalPages, len(page.Webhooks), page.TotalItems)
	// Output: page 2 of 2: 1 of 3 webhooks
}

func ExampleClient_RateLimit() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	_, known := client.RateLimit()
	fmt.Println(known)
	if _, err := client.ListWebhooks(context.Background(), facade.ListOptions{}); err != nil {
		log.Fatal(err)
	}
	if rl, ok := client.RateLimit(); ok {
		fmt.Println(rl.Remaining, "of", rl.Limit)
	}
	// Output:
	// false
	// 99 of 100
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
	if err := list(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: https://hooks.example.com/apivideo [video.encoding.quality.completed]
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

func ExampleClient_DeleteWebhook() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	remove := func(ctx context.Context, id string) error {
		wh, err := client.GetWebhook(ctx, id)
		if errors.Is(err, facade.ErrNotFound) {
			return nil // gone already
		}
		if err != nil {
			return err
		}
		return client.DeleteWebhook(ctx, wh.ID)
	}
	wh, err := client.CreateWebhook(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(remove(context.Background(), wh.ID), remove(context.Background(), wh.ID))
	fmt.Println(len(server.Webhooks()), "left")
	// Output:
	// <nil> <nil>
	// 0 left
}

func ExampleClient_EnsureWebhook() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()

	subscribe := func(ctx context.Context) error {
		wh, created, err := client.EnsureWebhook(ctx, facade.CreateWebhookParams{
			URL:    "https://hooks.example.com/apivideo",
			Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
		})
		if err != nil {
			return err
		}
		fmt.Println(created, wh.URL, wh.SignatureSecret)
		return nil
	}
	for range 2 { // a program that starts twice
		if err := subscribe(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// true https://hooks.example.com/apivideo [REDACTED]
	// false https://hooks.example.com/apivideo [REDACTED]
}

// anyID matches the ID of a webhook, which is random.
var anyID = regexp.MustCompile("webhook_[0-9A-Za-z]{22}")

func ExampleClient_PlanWebhooks() {
	ctx := context.Background()
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	for _, url := range []string{"https://hooks.example.com/encoded", "https://hooks.example.com/live", "https://example.org"} {
		if _, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: url, Events: params.Events}); err != nil {
			log.Fatal(err)
		}
	}

	plan, err := client.PlanWebhooks(ctx, []facade.CreateWebhookParams{
		{URL: "https://hooks.example.com/encoded", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
		{URL: "https://hooks.example.com/live", Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted}},
	}, facade.PlanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(anyID.ReplaceAllString(plan.String(), "webhook_…"))
	// Output:
	// = https://hooks.example.com/encoded [video.encoding.quality.completed] (webhook_…)
	// - https://hooks.example.com/live [video.encoding.quality.completed] (webhook_…)
	// + https://hooks.example.com/live [live-stream.broadcast.started]
	// 1 to create, 1 to delete, 1 to keep
}

// A program can also make or inspect a plan.
func ExamplePlan() {
	plan := &facade.Plan{
		Keep:   []*facade.Webhook{{ID: "webhook_1", URL: "https://hooks.example.com/live", Events: []facade.EventType{"live-stream.broadcast.started"}}},
		Delete: []*facade.Webhook{{ID: "webhook_2", URL: "https://hooks.example.com/old", Events: params.Events}},
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	if !plan.Empty() {
		logger.Info("pending", slog.Any("plan", plan.LogValue()))
		fmt.Print(plan.String())
	}
	// Output:
	// level=INFO msg=pending plan.create=[] plan.delete="[https://hooks.example.com/old [video.encoding.quality.completed] (webhook_2)]" plan.keep=1
	// = https://hooks.example.com/live [live-stream.broadcast.started] (webhook_1)
	// - https://hooks.example.com/old [video.encoding.quality.completed] (webhook_2)
	// 0 to create, 1 to delete, 1 to keep
}

func ExampleClient_ApplyPlan() {
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
	desired := []facade.CreateWebhookParams{{
		URL:    "https://hooks.example.com/live",
		Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted, facade.EventLiveStreamBroadcastEnded},
	}}
	if err := deploy(context.Background(), desired); err != nil {
		log.Fatal(err)
	}
	// Output:
	// + https://hooks.example.com/live [live-stream.broadcast.started live-stream.broadcast.ended]
	// 1 to create, 0 to delete, 0 to keep
	// 1 created, 0 deleted
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

// An Error in a log is a group, without the other text of the service.
func ExampleError_LogValue() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))

	server.Inject(facadetest.Fault{Status: http.StatusForbidden})
	_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
	logger.Error("no list", slog.Any("err", err))
	// Output:
	// level=ERROR msg="no list" err.op=ListWebhooks err.status=403 err.attempts=1 err.msg="apivideo: ListWebhooks: 403 Suspended account" err.type=authorization-suspended-account
}

func ExampleSecret() {
	secret := facade.NewSecret("sig_sec_0000000000000000000000")
	fmt.Printf("%v %+v %x\n", secret, struct{ Secret facade.Secret }{secret}, secret)
	text, err := json.Marshal(secret)
	fmt.Println(string(text), err)
	fmt.Println(secret.IsZero(), secret.Equal(secret), len(secret.Reveal()))
	// Output:
	// [REDACTED] {Secret:[REDACTED]} [REDACTED]
	// "[REDACTED]" <nil>
	// false true 30
}

// Configuration may contain a secret. Reveal returns the text to store.
func ExampleSecret_UnmarshalText() {
	var config struct {
		Secret facade.Secret `json:"secret"`
	}
	if err := json.Unmarshal([]byte(`{"secret":"sig_sec_0000000000000000000000"}`), &config); err != nil {
		log.Fatal(err)
	}
	fmt.Println(config.Secret.Equal(facade.NewSecret("sig_sec_0000000000000000000000")), len(config.Secret.Reveal()))

	err := json.Unmarshal([]byte(`{"secret":"[REDACTED]"}`), &config)
	fmt.Println(err)
	// Output:
	// true 30
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
	if err := list(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: 0 webhooks
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
