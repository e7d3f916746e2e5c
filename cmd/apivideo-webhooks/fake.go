package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// fakeAPIKey is the API key of a fake without --api-key.
const fakeAPIKey = "fake-api-key" //nolint:gosec // not a credential

// fakeFlags are the flags of fake.
type fakeFlags struct {
	addr, apiKey string
	limit        int
	rate         []int
	interval     time.Duration
}

// servingJSON is the output of fake, and the first one of listen.
type servingJSON struct {
	URL string `json:"url"`
}

func (a *app) newFake() *cobra.Command {
	var flags fakeFlags
	cmd := &cobra.Command{
		Use:   "fake",
		Short: "Serve a fake api.video for tests in any language",
		Long: `Serve a fake api.video for tests in any language.

The fake has the webhook operations of the service in memory. Control endpoints:

  POST   /_fake/deliver    send the notification in the body to all subscribers
  POST   /_fake/faults     add a fault
  GET    /_fake/requests   list the requests that the fake received
  POST   /_fake/reset      remove webhooks, faults and requests`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options(a.unknownEvents)
			if err != nil {
				return err
			}
			listener, err := listenOn(cmd.Context(), "--addr", flags.addr)
			if err != nil {
				return err
			}
			defer listener.Close()
			server := facadetest.NewServer(opts...)
			defer server.Close()
			url := "http://" + listener.Addr().String()
			if a.jsonOutput() {
				a.printJSON(servingJSON{url})
			} else {
				a.printf("Serving a fake api.video on %s", url)
			}
			if flags.apiKey == fakeAPIKey {
				_ = a.out.flush(cmd.Context()) // before the note
				a.notef("The API key is %s", fakeAPIKey)
			}
			return serve(cmd.Context(), listener, newFakeHandler(server, a.unknownEvents), 0)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	f.StringVar(&flags.apiKey, "api-key", fakeAPIKey, "API `key` that the fake accepts")
	f.IntVar(&flags.limit, "limit", 10, "maximum `number` of webhooks, 0 for any")
	f.IntSliceVar(&flags.rate, "rate", []int{100, 40}, "reads and writes per minute, as `READS,WRITES`, 0 for any")
	f.DurationVar(&flags.interval, "retry-interval", 3*time.Second, "`time` between two attempts of a delivery")
	return cmd
}

// options returns the options of the fake.
func (f fakeFlags) options(unknownEvents bool) ([]facadetest.Option, error) {
	switch {
	case f.limit < 0:
		return nil, usagef("--limit must not be negative")
	case len(f.rate) != 2 || f.rate[0] < 0 || f.rate[1] < 0:
		return nil, usagef("--rate must be two numbers, for example 100,40")
	case f.interval < 0:
		return nil, usagef("--retry-interval must not be negative")
	}
	opts := []facadetest.Option{
		facadetest.WithAPIKey(f.apiKey),
		facadetest.WithWebhookLimit(f.limit),
		facadetest.WithRateLimit(f.rate[0], f.rate[1]),
		facadetest.WithDeliveryRetries(3, f.interval),
	}
	if unknownEvents {
		opts = append(opts, facadetest.WithUnknownEvents())
	}
	return opts, nil
}
