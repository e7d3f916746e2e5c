package facade_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestCreateWebhookParams_url(t *testing.T) {
	t.Parallel()
	const loopback, host = "has a loopback host", "has the invalid host"
	const space, relative = "has white space, control or format characters", "is not an absolute"
	tests := []struct{ url, want string }{
		{"", "the URL is empty"},
		{"/hook", `"/hook" is not an absolute http or https URL`},
		{"hooks.example.com/a", relative},
		{"ftp://hooks.example.com", relative},
		{"https:hooks.example.com", relative},
		{"https://", relative},
		{"https://%zz", relative},
		{"https://h/a\xff", "is not UTF-8"},
		{"https://h/a ", `"https://h/a " has white space`},
		{" https://h/a", space},
		{"https://h/a\n", space},
		{"https://h/\u00a0", space},
		{"https://h/\x7f", space},
		{"https://hooks\u200b.example.com/a", space},
		{"https://h/\ufeff", space},
		{"https://h:99999/a", "has the invalid port 99999"},
		{"https://h:0/a", "has the invalid port 0"},
		{"https://h:", "has an empty port"},
		{"https://:443/a", "has no host"},
		{"https://.", `has the invalid host "."`},
		{"https://..", host},
		{"https://a..b", host},
		{"https://*", host},
		{"https://-", host},
		{"https://-a.example.com", host},
		{"https://a,b.example.com", host},
		{"http://127.1/x", `has the invalid host "127.1"`},
		{"http://2130706433/x", host},
		{"http://0x7f000001/x", host},
		{"http://0X7F000001/x", host},
		{"http://localhost:8080/x", `"http://localhost:8080/x" has a loopback host`},
		{"http://LocalHost./x", loopback},
		{"http://app.localhost/x", loopback},
		{"http://127.1.2.3/x", loopback},
		{"http://[::1]:8080/x", loopback},
		{"http://[::1%25lo]/x", loopback},
		{"https://[::%25lo]/x", loopback},
		{"http://0.0.0.0/x", loopback},
		{"https://0.0.0.0./x", loopback},
		{"https://user:hunter2@localhost/x", `"https://user:xxxxx@localhost/x"`},
		{"http:/user:hunter2@h/x", `the URL "…@h/x" is not an absolute`},
		{"http:///user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"/user:hunter2@h?a=b@c", `the URL "…@c" is not an absolute`},
		{"user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"http:user:hunter2@h", `the URL "…@h" is not an absolute`},
		{"https://user:hunter2@h:port/x", `the URL "…@h:port/x" is not an absolute`},
		{" https://user:hunter2@h", `the URL "…@h" has white space`},

		{"HTTPS://hooks.example.com", ""},
		{"http://hooks.example.com:8080/a%20b?c=d&e=%2F#f", ""},
		{"https://hooks.example.com./@user", ""},
		{"https://user:hunter2@hooks.example.com/a", ""},
		{"https://bücher.example/ä", ""},
		{"https://हिन्दी.example", ""},
		{"https://192.0.2.1/a", ""},
		{"https://[2001:db8::1]/a", ""},
		{"https://localhost.example.com", ""},
		{"https://hook_s-AaZz.com.Az09a", ""},
	}
	for _, environment := range []facade.Option{facade.WithBaseURL("https://WS.api.video."), facade.WithSandbox()} {
		for _, test := range tests {
			server := newScript(succeed)
			_, err := newClientWith(t, inMemory(server), environment).CreateWebhook(t.Context(), newCreation(test.url, eventA))
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
	_, err := client.CreateWebhook(t.Context(), newCreation("http://localhost:8080/x", eventA))
	require.NoError(t, err, "another server may reach it")
}

// errorsOf returns the errors of the methods with the parameters of a webhook.
func errorsOf(t *testing.T, client *facade.Client, p facade.CreateWebhookParams) map[string]error {
	t.Helper()
	_, createErr := client.CreateWebhook(t.Context(), p)
	_, _, ensureErr := client.EnsureWebhook(t.Context(), p)
	plan, planErr := client.PlanWebhooks(t.Context(), paramsList{validParams, p}, facade.PlanOptions{})
	assert.Nil(t, plan)
	_, applyErr := client.ApplyPlan(t.Context(), &facade.Plan{Create: paramsList{validParams, p}})
	return map[string]error{
		"CreateWebhook": createErr, "EnsureWebhook": ensureErr, "ApplyPlan": applyErr,
		"PlanWebhooks: invalid argument: desired webhook 2 of 2": planErr,
	}
}

func TestClient_invalidParams(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		params facade.CreateWebhookParams
		want   string
	}{
		{newCreation("", eventA), "the URL is empty"},
		{newCreation("https://h/"), "no events are given"},
		{newCreation("https://h/", eventA, ""), "an event is empty"},
		{newCreation("https://h/", "\xff"), "is not UTF-8"},
		{newCreation("https://h/", eventA, "video.encoding.complete"), `"video.encoding.quality.completed"? (WithUnknownEvents allows`},
		{newCreation("https://h/", "VIDEO.SUMMARY.GENERATED"), `did you mean "video.summary.generated"?`},
		{newCreation("https://h/", " video.caption.generated"), `unknown event " video.caption.generated"; did you mean "vi`},
		{newCreation("https://h/", "livestream.broadcast.end"), `did you mean "live-stream.broadcast.ended"?`},
		{newCreation("https://h/", "video.sumary.generated"), `did you mean "video.summary.generated"?`},
		{newCreation("https://h/", facade.EventType(strings.Repeat("x", 10_000))), `x"; did you mean`},
	} {
		server := newScript(succeed)
		client := newClientWith(t, inMemory(server))
		for name, err := range errorsOf(t, client, test.params) {
			require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
			require.ErrorContains(t, err, "apivideo: "+name)
			require.ErrorContains(t, err, test.want)
		}
		if e := test.params.Events; len(e) > 0 && e[len(e)-1] != eventA && e[len(e)-1] != "" {
			_, err := client.ListWebhooks(t.Context(), facade.ListOptions{Event: e[len(e)-1]})
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorContains(t, err, test.want)
		}
		assert.Zero(t, server.requests())
	}
}

// The text of an error has a limited length, and no part of a credential at the limit.
func TestClient_invalidArgument_long(t *testing.T) {
	t.Parallel()
	for n := 380; n < 500; n += 3 { // the limit is within the key, for each of the texts
		long := strings.Repeat("x", n) + testKey + strings.Repeat("y", 10_000)
		client := newClient(t, succeed)
		var errs []error
		for _, p := range []facade.CreateWebhookParams{
			newCreation("https://h/ "+long, eventA),
			newCreation("https://h:"+strings.Repeat("9", 10_000), eventA),
			newCreation("https://"+strings.Repeat("a", 10_000)+",", eventA),
			newCreation("https://h/", facade.EventType(long)),
			newCreation("https://h/", facade.EventType(long+"\xff")),
		} {
			errs = slices.AppendSeq(errs, maps.Values(errorsOf(t, client, p)))
		}
		_, err := client.ListWebhooks(t.Context(), facade.ListOptions{Event: facade.EventType(long)})
		valid := newCreation("https://h/"+long, eventA)
		_, planErr := client.ApplyPlan(t.Context(), &facade.Plan{Create: paramsList{valid, valid}})
		errs = append(errs, err, planErr)
		for _, opt := range []facade.Option{
			facade.WithBaseURL("ftp://" + long), facade.WithBaseURL("http://" + long),
			facade.WithBaseURL("https://h:" + strings.Repeat("9", 10_000)), facade.WithApplication(long, "1"),
		} {
			_, err = facade.NewClient(testKey, opt)
			errs = append(errs, err)
		}
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
	_, err := client.ListWebhooks(t.Context(), facade.ListOptions{Event: "video.invented"})
	require.NoError(t, err)
	for event, isValid := range map[facade.EventType]bool{"video.invented": true, "": false, "\xff": false} {
		_, err := client.CreateWebhook(t.Context(), newCreation("https://h/", event))
		assert.Equal(t, !isValid, errors.Is(err, facade.ErrInvalidArgument))
	}
}
