package facade_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// newOffline returns a client for the real service that sends nothing.
func newOffline(t *testing.T, opts ...facade.Option) (*facade.Client, *recorder) {
	t.Helper()
	transport := new(recorder)
	client, err := facade.NewClient(testKey, append(opts, once, facade.WithHTTPClient(&http.Client{Transport: transport}))...)
	require.NoError(t, err)
	return client, transport
}

func TestCreateWebhookParams_url(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, want string }{
		{"", "the URL is empty"},
		{"/hook", `"/hook" is not an absolute http or https URL`},
		{"hooks.example.com/a", "is not an absolute"},
		{"ftp://hooks.example.com", "is not an absolute"},
		{"https:hooks.example.com", "is not an absolute"},
		{"https://", "is not an absolute"},
		{"https://%zz", "is not an absolute"},
		{"https://hooks.example.com/a\xff", "is not UTF-8"},
		{"https://hooks.example.com/a ", `"https://hooks.example.com/a " has white space`},
		{" https://hooks.example.com/a", "has white space"},
		{"https://hooks.example.com/a b", "has white space"},
		{"https://hooks.example.com/a\n", "has white space"},
		{"https://hooks.example.com/\u00a0", "has white space"},
		{"https://hooks.example.com/\x7f", "control or format characters"},
		{"https://hooks.example.com:99999/a", "has the invalid port 99999"},
		{"https://hooks.example.com:0/a", "has the invalid port 0"},
		{"https://.", `has the invalid host "."`},
		{"https://..", "has the invalid host"},
		{"https://a..b", "has the invalid host"},
		{"https://*", "has the invalid host"},
		{"https://-", "has the invalid host"},
		{"https://-a.example.com", "has the invalid host"},
		{"https://a,b.example.com", "has the invalid host"},
		{"http://127.1/x", `has the invalid host "127.1"`},
		{"http://2130706433/x", "has the invalid host"},
		{"http://0/x", "has the invalid host"},
		{"http://0x7f000001/x", "has the invalid host"},
		{"https://hooks.example.com:", "has an empty port"},
		{"https://hooks\u200b.example.com/a", "format characters"},
		{"https://hooks.example.com/\ufeff", "format characters"},
		{"https://0.0.0.0./x", "has a loopback host"},
		{"https://[::%25lo]/x", "has a loopback host"},
		{"https://[::1%25lo]/x", "has a loopback host"},
		{"https://:443/a", "has no host"},
		{"http://localhost:8080/x", `"http://localhost:8080/x" has a loopback host`},
		{"http://LocalHost./x", "has a loopback host"},
		{"http://app.localhost/x", "has a loopback host"},
		{"http://127.1.2.3/x", "has a loopback host"},
		{"http://[::1]:8080/x", "has a loopback host"},
		{"http://0.0.0.0/x", "has a loopback host"},
		{"https://user:hunter2@localhost/x", `"https://user:xxxxx@localhost/x"`},

		{"https://hooks.example.com", ""},
		{"http://hooks.example.com:8080/a%20b?c=d&e=%2F#f", ""},
		{"https://hooks.example.com./a", ""},
		{"https://user:hunter2@hooks.example.com/a", ""},
		{"https://bücher.example/ä", ""},
		{"https://192.0.2.1/a", ""},
		{"https://[2001:db8::1]/a", ""},
		{"HTTPS://hooks.example.com", ""},
		{"https://localhost.example.com", ""},
		{"https://hook_s.example.com", ""},
		{"https://hooks.example.com/@user", ""},
		{"https://xn--bcher-kva.example", ""},
		{"https://1.example", ""},
		{"https://हिन्दी.example", ""},
	}
	for _, env := range []facade.Option{facade.WithBaseURL("https://ws.api.video"), facade.WithSandbox()} {
		for _, test := range tests {
			client, transport := newOffline(t, env)
			_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: test.url, Events: validParams.Events})
			if test.want == "" {
				require.NoError(t, err, test.url)
				continue
			}
			require.ErrorIs(t, err, facade.ErrInvalidArgument, test.url)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Empty(t, transport.requests)
		}
	}
}

func TestCreateWebhookParams_loopbackWithAnotherServer(t *testing.T) {
	t.Parallel()
	client, _ := newOffline(t, facade.WithBaseURL("https://gateway.example.com"))
	_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "http://localhost:8080/x", Events: validParams.Events})
	require.NoError(t, err)
}

func TestCreateWebhookParams_noEvents(t *testing.T) {
	t.Parallel()
	client, transport := newOffline(t)
	_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL})
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "no events are given")
	assert.Empty(t, transport.requests)
}

func TestEventType_unknown(t *testing.T) {
	t.Parallel()
	for event, want := range map[facade.EventType]string{
		"video.encoding.completed":          `unknown event "video.encoding.completed"; did you mean "video.encoding.quality.completed"?`,
		"VIDEO.SOURCE.RECORDED":             `did you mean "video.source.recorded"?`,
		" video.caption.generated":          `unknown event " video.caption.generated"; did you mean "video.caption.generated"?`,
		"livestream.broadcast.end":          `did you mean "live-stream.broadcast.ended"?`,
		"video.sumary.generated":            `did you mean "video.summary.generated"?`,
		facade.EventType(make([]byte, 1e6)): "did you mean",
		"":                                  "an event is empty",
		"\xff":                              "is not UTF-8",
	} {
		params := facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{facade.EventVideoSourceRecorded, event}}
		calls := map[string]func(*facade.Client) error{
			"CreateWebhook": func(c *facade.Client) error { _, err := c.CreateWebhook(t.Context(), params); return err },
			"EnsureWebhook": func(c *facade.Client) error { _, _, err := c.EnsureWebhook(t.Context(), params); return err },
			"PlanWebhooks": func(c *facade.Client) error {
				_, err := c.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{params}, facade.PlanOptions{})
				return err
			},
			"ApplyPlan": func(c *facade.Client) error {
				_, err := c.ApplyPlan(t.Context(), &facade.Plan{Create: []facade.CreateWebhookParams{params}})
				return err
			},
		}
		if event != "" { // which selects all events of a list
			calls["ListWebhooks"] = func(c *facade.Client) error {
				_, err := c.ListWebhooks(t.Context(), facade.ListOptions{Event: event})
				return err
			}
		}
		for name, call := range calls {
			client, transport := newOffline(t)
			err := call(client)
			require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
			require.ErrorContains(t, err, name)
			require.ErrorContains(t, err, want)
			assert.Empty(t, transport.requests, name)
		}
	}
}

func TestWithUnknownEvents(t *testing.T) {
	t.Parallel()
	client, transport := newOffline(t, facade.WithUnknownEvents())
	_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{"video.invented"}})
	require.NoError(t, err)
	assert.Len(t, transport.requests, 1)
	_, err = client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{"\xff"}})
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
}

func TestNewClient_emptyKey(t *testing.T) {
	t.Parallel()
	_, err := facade.NewClient("")
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "the API key is empty")
}
