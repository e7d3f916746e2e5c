package facade_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

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
		{"http://[::1%25lo]/x", "has a loopback host"},
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
	for _, environment := range []facade.Option{facade.WithBaseURL("https://WS.api.video."), facade.WithSandbox()} {
		for _, test := range tests {
			server := newScript(succeed)
			client := newClientWith(t, inMemory(server), environment)
			_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: test.url, Events: validParams.Events})
			if test.want == "" {
				require.NoError(t, err, test.url)
				continue
			}
			require.ErrorIs(t, err, facade.ErrInvalidArgument, test.url)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Zero(t, server.requests())
		}
	}
	client := newClientWith(t, inMemory(newScript(succeed)), facade.WithBaseURL("https://gateway.example.com"))
	_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: "http://localhost:8080/x", Events: validParams.Events})
	require.NoError(t, err, "another server may reach it")
}

func TestClient_invalidParams(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const source = facade.EventVideoSourceRecorded
	tests := []struct {
		url    string
		events []facade.EventType
		want   string
	}{
		{"", []facade.EventType{source}, "the URL is empty"},
		{"/a", []facade.EventType{source}, "is not an absolute"},
		{validParams.URL, nil, "no events are given"},
		{validParams.URL, []facade.EventType{source, ""}, "an event is empty"},
		{validParams.URL, []facade.EventType{"\xff"}, "is not UTF-8"},
		{
			validParams.URL,
			[]facade.EventType{source, "video.encoding.completed"},
			`unknown event "video.encoding.completed"; did you mean "video.encoding.quality.completed"? (WithUnknownEvents allows unknown events)`,
		},
		{validParams.URL, []facade.EventType{"VIDEO.SUMMARY.GENERATED"}, `did you mean "video.summary.generated"?`},
		{validParams.URL, []facade.EventType{" video.caption.generated"}, `unknown event " video.caption.generated"; did you mean "video.caption.generated"?`},
		{validParams.URL, []facade.EventType{"livestream.broadcast.end"}, `did you mean "live-stream.broadcast.ended"?`},
		{validParams.URL, []facade.EventType{"video.sumary.generated"}, `did you mean "video.summary.generated"?`},
		{validParams.URL, []facade.EventType{facade.EventType(strings.Repeat("x", 10_000))}, "did you mean"},
	}
	for _, test := range tests {
		p := facade.CreateWebhookParams{URL: test.url, Events: test.events}
		calls := map[string]func(*facade.Client) error{
			"CreateWebhook": func(c *facade.Client) error { _, err := c.CreateWebhook(ctx, p); return err },
			"EnsureWebhook": func(c *facade.Client) error { _, _, err := c.EnsureWebhook(ctx, p); return err },
			"PlanWebhooks": func(c *facade.Client) error {
				plan, err := c.PlanWebhooks(ctx, []facade.CreateWebhookParams{validParams, p}, facade.PlanOptions{})
				assert.Nil(t, plan)
				require.ErrorContains(t, err, "desired webhook 2 of 2")
				return err
			},
			"ApplyPlan": func(c *facade.Client) error {
				_, err := c.ApplyPlan(ctx, &facade.Plan{Create: []facade.CreateWebhookParams{validParams, p}})
				return err
			},
		}
		if e := test.events; test.url == validParams.URL && len(e) > 0 && e[len(e)-1] != "" {
			calls["ListWebhooks"] = func(c *facade.Client) error {
				_, err := c.ListWebhooks(ctx, facade.ListOptions{Event: e[len(e)-1]})
				return err
			}
		}
		for name, call := range calls {
			server := newScript(succeed)
			err := call(newClientWith(t, inMemory(server)))
			require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
			require.ErrorContains(t, err, "apivideo: "+name)
			require.ErrorContains(t, err, test.want)
			assert.Zero(t, server.requests(), name)
		}
	}
}

func TestWithUnknownEvents(t *testing.T) {
	t.Parallel()
	client := newClient(t, succeed, facade.WithUnknownEvents())
	_, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{"video.invented"}})
	require.NoError(t, err)
	_, err = client.ListWebhooks(t.Context(), facade.ListOptions{Event: "video.invented"})
	require.NoError(t, err)
	for _, invalid := range []facade.EventType{"", "\xff"} {
		_, err = client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: validParams.URL, Events: []facade.EventType{invalid}})
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
	}
}
