package facade_test

import (
	"strings"
	"testing"
	"unicode/utf8"

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
		{"http:/user:hunter2@h/x", `the URL "…@h/x" is not an absolute`},
		{"http:///user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"/user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"http:user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"/user:hunter2@h?a=b@c", `the URL "…@c" is not an absolute`},
		{"https://user:hunter2@h:port/x", `the URL "…@h:port/x" is not an absolute`},
		{" https://user:hunter2@h", `the URL "…@h" has white space`},

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
		{validParams.URL, []facade.EventType{facade.EventType(strings.Repeat("x", 10_000))}, `x"; did you mean`},
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

// The text of an error has a limited length, and no part of a credential at the limit.
func TestClient_invalidArgument_long(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	event := validParams.Events[0]
	for n := 380; n < 500; n += 3 { // the limit is within the key, for each of the texts
		long := strings.Repeat("x", n) + testKey + strings.Repeat("y", 10_000)
		p := []facade.CreateWebhookParams{
			{URL: "https://hooks.example.com/ " + long, Events: validParams.Events},
			{URL: "https://hooks.example.com:" + strings.Repeat("9", 10_000), Events: validParams.Events},
			{URL: "https://" + strings.Repeat("a", 10_000) + ",", Events: validParams.Events},
			{URL: validParams.URL, Events: []facade.EventType{facade.EventType(long)}},
			{URL: validParams.URL, Events: []facade.EventType{facade.EventType(long + "\xff")}},
		}
		var errs []error
		client := newClient(t, succeed)
		for _, params := range p {
			_, err := client.CreateWebhook(ctx, params)
			errs = append(errs, err)
			_, err = client.PlanWebhooks(ctx, []facade.CreateWebhookParams{params}, facade.PlanOptions{})
			errs = append(errs, err)
		}
		_, err := client.ListWebhooks(ctx, facade.ListOptions{Event: facade.EventType(long)})
		errs = append(errs, err)
		valid := facade.CreateWebhookParams{URL: validParams.URL + "/" + long, Events: []facade.EventType{event}}
		_, err = client.ApplyPlan(ctx, &facade.Plan{Create: []facade.CreateWebhookParams{valid, valid}})
		errs = append(errs, err)
		for _, base := range []string{"ftp://" + long, "http://" + long, "https://h:9" + strings.Repeat("9", 10_000)} {
			_, err = facade.NewClient(testKey, facade.WithBaseURL(base))
			errs = append(errs, err)
		}
		_, err = facade.NewClient(testKey, facade.WithApplication(long, "1"))
		errs = append(errs, err)
		for _, err := range errs {
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.LessOrEqual(t, utf8.RuneCountInString(err.Error()), 1000)
			assert.NotContains(t, err.Error(), testKey[:8])
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
