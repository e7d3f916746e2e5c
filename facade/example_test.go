package facade_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"regexp"
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
	// Output: true apivideo: NewClient: invalid argument: the API key must be printable ASCII without spaces and colons
}

func ExampleClient_CreateWebhook() {
	server := facadetest.NewServer()
	defer server.Close()
	client := server.Client()
	save := func(_, secret string) { fmt.Println("saved", len(secret), "characters") }

	create := func(ctx context.Context) error {
		wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{
			URL:    "https://hooks.example.com/apivideo",
			Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
		})
		if err != nil {
			return err
		}
		fmt.Println(wh.URL, wh.SignatureSecret) // the secret prints as [REDACTED]
		save(wh.ID, wh.SignatureSecret.Reveal())
		return nil
	}
	if err := create(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// https://hooks.example.com/apivideo [REDACTED]
	// saved 30 characters
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

// anyID is what no example can know before.
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

	say := func(err error) string {
		var e *facade.Error
		switch {
		case err == nil:
			return "fine"
		case errors.Is(err, facade.ErrTooManyRequests) && errors.As(err, &e):
			return "try again in " + e.RetryAfter.String()
		case errors.Is(err, facade.ErrBadRequest) && errors.As(err, &e):
			return fmt.Sprint("refused: ", e.Problems)
		default:
			return err.Error()
		}
	}
	server.Inject(
		facadetest.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"X-RateLimit-Retry-After": "42"}},
		facadetest.Fault{Status: http.StatusForbidden},
		facadetest.Fault{},
	)
	for range 3 {
		_, err := client.ListWebhooks(context.Background(), facade.ListOptions{})
		fmt.Println(say(err))
	}
	// Output:
	// try again in 42s
	// apivideo: ListWebhooks: 403 Suspended account
	// fine
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
		fmt.Println(resp.StatusCode(), string(resp.Body))
		return nil
	}
	server.Inject(facadetest.Fault{Body: `{"data":[]}`})
	if err := list(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: 200 {"data":[]}
}

// A test of code that uses the client, which meets a server that fails.
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
