package facade_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// The URL and the events in the tests of EnsureWebhook and of plans.
const (
	hook = "https://hooks.example.com/a"

	eventA = facade.EventVideoEncodingQualityCompleted
	eventB = facade.EventVideoSourceRecorded
	eventC = facade.EventVideoCaptionGenerated
)

type paramsList = []facade.CreateWebhookParams

func newParams(url string, events ...facade.EventType) facade.CreateWebhookParams {
	return facade.CreateWebhookParams{URL: url, Events: events}
}

// An account is a fake server with webhooks, and a client.
type account struct {
	server *facadetest.Server
	client *facade.Client
	held   []facade.Webhook // at first, oldest first
	sent   int              // requests before the test
}

// newAccount returns an account with webhooks. Each webhook is a second younger than the
// previous webhook, unless an option sets another clock.
func newAccount(t *testing.T, held paramsList, opts ...facadetest.Option) *account {
	t.Helper()
	server := facadetest.NewServer(append([]facadetest.Option{facadetest.WithRateLimit(0, 0), facadetest.WithClock(newClock(time.Second))}, opts...)...)
	t.Cleanup(server.Close)
	a := &account{server: server, sent: len(held)}
	a.client = a.clientWith(counted(t, inMemory(server)))
	for _, p := range held {
		_, err := a.client.CreateWebhook(t.Context(), p)
		require.NoError(t, err)
	}
	a.held = server.Webhooks()
	return a
}

func (a *account) clientWith(rt http.RoundTripper) *facade.Client {
	return a.server.Client(facade.WithHTTPClient(&http.Client{Transport: rt}))
}

// requests returns the requests since the account was filled.
func (a *account) requests() []string {
	var all []string
	for _, r := range a.server.Requests()[a.sent:] {
		all = append(all, r.Method+" "+r.Path)
	}
	return all
}

// heldAt returns webhooks of the filled account by their index.
func (a *account) heldAt(indexes ...int) []*facade.Webhook {
	var all []*facade.Webhook
	for _, i := range indexes {
		all = append(all, &a.held[i])
	}
	return all
}

const (
	listRequest   = "GET /webhooks"
	createRequest = "POST /webhooks"
)

func isCreate(r *http.Request) bool { return r.Method == http.MethodPost }

// newClock returns a clock that moves by step, or back, with each call.
func newClock(step time.Duration) func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return time.Unix(1_000_000_000, 0).Add(time.Duration(ticks.Add(1)) * step) }
}

func TestEnsureWebhook(t *testing.T) {
	t.Parallel()
	want := newParams(hook, eventA, eventB)
	tests := []struct {
		name  string
		held  paramsList
		index int // of the webhook among held, or -1 for a new webhook
	}{
		{"empty account", nil, -1},
		{"equal", paramsList{want}, 0},
		{"equal among others", paramsList{newParams(hook, eventC), newParams(hook+"/b", eventA, eventB), want}, 2},
		{"events in another order", paramsList{newParams(hook, eventB, eventA)}, 0},
		{"repeated events", paramsList{newParams(hook, eventB, eventA, eventB, eventA)}, 0},
		{"duplicates", paramsList{newParams(hook, eventB, eventA), want}, 0},
		{"one event more", paramsList{newParams(hook, eventA, eventB, eventC)}, -1},
		{"one event fewer", paramsList{newParams(hook, eventA)}, -1},
		{"events in two webhooks", paramsList{newParams(hook, eventA), newParams(hook, eventB)}, -1},
		{"URL with a slash", paramsList{newParams(hook+"/", eventA, eventB)}, -1},
		{"host in upper case", paramsList{newParams("https://HOOKS.example.com/a", eventA, eventB)}, -1},
		{"escaped URL", paramsList{newParams("https://hooks.example.com/%61", eventA, eventB)}, -1},
	}
	for _, test := range tests {
		for order, opts := range sortOrders {
			t.Run(test.name+"/"+order, func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, test.held, opts...)
				wh, created, err := account.client.EnsureWebhook(t.Context(), want)
				require.NoError(t, err)
				after := account.server.Webhooks()
				assert.Equal(t, test.index < 0, created)
				assert.Equal(t, account.held, after[:len(test.held)])
				if test.index >= 0 {
					assert.Len(t, after, len(test.held))
					assert.Equal(t, &after[test.index], wh)
					assert.Equal(t, []string{listRequest}, account.requests())
					return
				}
				require.Len(t, after, len(test.held)+1)
				assert.Equal(t, &after[len(test.held)], wh)
				assert.Equal(t, []string{listRequest, createRequest}, account.requests())
			})
		}
	}
}

// All callers select the same webhook among equally old duplicates.
func TestClient_equallyOldDuplicates(t *testing.T) {
	t.Parallel()
	for _, opts := range sortOrders {
		stopped := func() time.Time { return time.Unix(1, 0) }
		account := newAccount(t, slices.Repeat(paramsList{validParams}, 8), append(opts, facadetest.WithClock(stopped))...)
		wh, created, err := account.client.EnsureWebhook(t.Context(), validParams)
		require.NoError(t, err)
		assert.False(t, created)
		plan, err := account.client.PlanWebhooks(t.Context(), paramsList{validParams}, facade.PlanOptions{})
		require.NoError(t, err)
		assert.Equal(t, []*facade.Webhook{wh}, plan.Keep)
		require.Len(t, plan.Delete, 7)
		for _, other := range plan.Delete {
			assert.Less(t, wh.ID, other.ID)
		}
	}
}

func TestEnsureWebhook_failedCreate(t *testing.T) {
	t.Parallel()
	const limitReached = `{"type":"https://docs.api.video/reference/webhook-limit-reached","status":400}`
	isList := func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/webhooks" }
	passes := facadetest.Fault{Match: isList} // for the first list
	three := []string{listRequest, createRequest, listRequest}
	tests := []struct {
		name   string
		faults []facadetest.Fault
		want   []error // empty: the webhook is found
		sent   []string
	}{
		{"created, lost response", []facadetest.Fault{{Match: isCreate, Process: true, Reset: facadetest.ResetAfterRead}}, nil, three},
		{"created, truncated response", []facadetest.Fault{{Match: isCreate, Truncate: true}}, nil, three},
		{"created, 500", []facadetest.Fault{{Match: isCreate, Process: true, Status: 500}}, nil, three},
		{"not created, lost response", []facadetest.Fault{{Match: isCreate, Reset: facadetest.ResetAfterRead}}, []error{facade.ErrUnconfirmed}, three},
		{"not created, 500", []facadetest.Fault{{Match: isCreate, Status: 500}}, []error{facade.ErrUnconfirmed, facade.ErrServer}, three},
		{
			"created, lost response, second list refused",
			[]facadetest.Fault{{Match: isCreate, Process: true, Reset: facadetest.ResetAfterRead}, passes, {Match: isList, Status: 403}},
			[]error{facade.ErrUnconfirmed, facade.ErrForbidden},
			three,
		},
		{
			"limit reached, second list refused",
			[]facadetest.Fault{{Match: isCreate, Status: 400, Body: limitReached}, passes, {Match: isList, Status: 403}},
			[]error{facade.ErrWebhookLimitReached, facade.ErrForbidden},
			three,
		},
		{"limit reached", []facadetest.Fault{{Match: isCreate, Status: 400, Body: limitReached}}, []error{facade.ErrWebhookLimitReached}, three},
		{"refused", []facadetest.Fault{{Match: isCreate, Status: 403}}, []error{facade.ErrForbidden}, three[:2]},
		{"first list refused", []facadetest.Fault{{Match: isList, Status: 403}}, []error{facade.ErrForbidden}, three[:1]},
	}
	for _, test := range tests {
		account := newAccount(t, nil)
		account.server.Inject(test.faults...)
		wh, created, err := account.client.EnsureWebhook(t.Context(), validParams)
		assert.Equal(t, test.sent, account.requests(), test.name)
		if test.want == nil {
			require.NoError(t, err, test.name)
			assert.True(t, created, test.name)
			assert.Equal(t, []facade.Webhook{*wh}, account.server.Webhooks(), test.name)
			continue
		}
		assert.False(t, created, test.name)
		assert.Nil(t, wh, test.name)
		for _, want := range test.want {
			require.ErrorIs(t, err, want, test.name)
		}
		require.ErrorIs(t, asError(t, err), test.want[0], test.name)
		_, _, err = account.client.EnsureWebhook(t.Context(), validParams)
		require.NoError(t, err, "another call suffices")
		assert.Len(t, account.server.Webhooks(), 1, test.name)
	}
}

func TestEnsureWebhook_contextEnds(t *testing.T) {
	t.Parallel()
	account := newAccount(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := serve(account.server, r)
		if isCreate(r) && assert.NoError(t, err) {
			cancel()
			return nil, context.Canceled
		}
		return resp, err
	}))
	wh, created, err := client.EnsureWebhook(ctx, validParams)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	require.ErrorContains(t, err, "looking for the webhook failed")
	assert.Nil(t, wh)
	assert.False(t, created)
	assert.Equal(t, []string{listRequest, createRequest}, account.requests())
}

// A concurrent client creates the webhook. After ErrUnconfirmed the caller may
// have created the webhook.
func TestEnsureWebhook_concurrentCreate(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]bool{0: true, 1: false} {
		account := newAccount(t, nil, facadetest.WithWebhookLimit(limit))
		client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
			if isCreate(r) {
				require.NoError(t, createWebhook(t.Context(), account.client))
				if limit == 0 {
					_, _ = io.Copy(io.Discard, r.Body)
					return nil, io.ErrUnexpectedEOF
				}
			}
			return serve(account.server, r)
		}))
		wh, created, err := client.EnsureWebhook(t.Context(), validParams)
		require.NoError(t, err)
		assert.Equal(t, want, created)
		assert.Equal(t, []facade.Webhook{*wh}, account.server.Webhooks())
	}
}

// The service is known to omit fields. The client requests an omitted secret.
func TestClient_omittedSecret(t *testing.T) {
	t.Parallel()
	const text = "sig_sec_0000000000000000000000"
	const secret = `,"signatureSecret":"` + text + `"`
	full := webhookJSON(0)
	bare := strings.Replace(full, secret, "", 1)
	p := newParams("https://hooks.example.com/apivideo/0", eventA, eventB)
	tests := []struct {
		name   string
		get    http.HandlerFunc
		want   error
		secret string
	}{
		{"webhook", respond(200, full), nil, text},
		{"ID and secret", respond(200, `{"webhookId":"`+webhookID+`"`+secret+`}`), nil, text},
		{"omitted again", respond(200, bare), nil, ""},
		{"403", respond(403, "{}"), facade.ErrForbidden, ""},
		{"404", respond(404, "{}"), facade.ErrNotFound, ""},
	}
	for _, test := range tests {
		for _, call := range []string{"found", "created", "unconfirmed", "applied"} {
			name, isDeleted, lists := test.name+", "+call, false, 0
			mux := http.NewServeMux()
			mux.HandleFunc("GET /webhooks", respond(200, listJSON(1, 100, 0)))
			mux.HandleFunc("POST /webhooks", respond(201, bare))
			mux.HandleFunc("GET /webhooks/"+webhookID, test.get)
			mux.HandleFunc("DELETE /webhooks/webhook_1", func(w http.ResponseWriter, _ *http.Request) {
				isDeleted = true
				w.WriteHeader(http.StatusNoContent)
			})
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				isList := r.Method == http.MethodGet && r.URL.Path == "/webhooks"
				if isList {
					lists++
				}
				switch {
				case isList && (call == "found" || lists == 2):
					respond(200, pageJSON(bare, 1, 100, 1, 1))(w, r)
				case isCreate(r) && call == "unconfirmed":
					unavailable(w, r)
				default:
					mux.ServeHTTP(w, r)
				}
			})
			var wh *facade.Webhook
			var err error
			if call == "applied" {
				plan := &facade.Plan{Create: paramsList{p}, Delete: []*facade.Webhook{{ID: "webhook_1"}}}
				var applied *facade.Applied
				applied, err = client.ApplyPlan(t.Context(), plan)
				require.Len(t, applied.Created, 1, name)
				wh = applied.Created[0]
				assert.Empty(t, applied.Remaining.Create, name)
				assert.Equal(t, test.want == nil, isDeleted, name)
				assert.Equal(t, test.want == nil, applied.Remaining.Empty(), name)
			} else {
				var created bool
				wh, created, err = client.EnsureWebhook(t.Context(), p)
				assert.Equal(t, call != "found", created, name)
			}
			require.ErrorIs(t, err, test.want, name)
			if err != nil {
				assert.Equal(t, "GetWebhook", asError(t, err).Op, name)
			}
			require.NotNil(t, wh, name)
			assert.Equal(t, webhookID, wh.ID, name)
			assert.Equal(t, p, newParams(wh.URL, wh.Events...), name)
			assert.Equal(t, test.secret, wh.SignatureSecret.Reveal(), name)
		}
	}
}

// The service may store another URL or other events. Without an error each run would
// create another webhook.
func TestClient_createdOtherwise(t *testing.T) {
	t.Parallel()
	want := newParams(hook, eventA, eventB)
	const (
		url    = `"url":"` + hook + `"`
		events = `"events":["video.encoding.quality.completed","video.source.recorded"]`
	)
	for fields, isValid := range map[string]bool{
		url + `,` + events: true,
		url + `,"events":["video.source.recorded","video.encoding.quality.completed"]`: true,
		events: true,
		url:    true,
		`"createdAt":"2024-08-08T14:12:18+00:00"`:                                 true,
		`"url":"` + hook + `/",` + events:                                         false,
		`"url":"` + hook + `/"`:                                                   false,
		url + `,"events":["video.encoding.quality.completed"]`:                    false,
		`"events":["video.encoding.quality.completed","video.caption.generated"]`: false,
		`"url":"https://user:zq!password@hooks.example.com/a",` + events:          false,
	} {
		check := func(wh *facade.Webhook, err error) {
			t.Helper()
			assert.Equal(t, webhookID, wh.ID, fields)
			assert.Equal(t, isValid, normalize(want) == normalize(newParams(wh.URL, wh.Events...)), fields)
			if isValid {
				require.NoError(t, err, fields)
				assert.NotSame(t, &want.Events[0], &wh.Events[0], fields)
				assert.NotEmpty(t, wh.SignatureSecret.Reveal(), fields)
				return
			}
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse, fields)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed, fields)
			require.ErrorContains(t, err, hook+" [video.encoding.quality.completed video.source.recorded]")
			require.NotContains(t, err.Error(), "password")
			e := asError(t, err)
			assert.Equal(t, []any{"CreateWebhook", 0, 0}, []any{e.Op, e.StatusCode, e.Attempts})
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /webhooks", respond(200, listJSON(1, 100, 0)))
		mux.HandleFunc("POST /webhooks", respond(201, `{"webhookId":"`+webhookID+`",`+fields+`}`))
		mux.HandleFunc("GET /webhooks/"+webhookID, respond(200, webhookJSON(0)))
		client := newClient(t, mux.ServeHTTP)
		wh, created, err := client.EnsureWebhook(t.Context(), want)
		assert.True(t, created, fields)
		check(wh, err)
		plan := &facade.Plan{Create: paramsList{want}}
		if !isValid {
			plan.Create = append(plan.Create, validParams) // remains
		}
		applied, err := client.ApplyPlan(t.Context(), plan)
		require.Len(t, applied.Created, 1, fields)
		assert.Equal(t, applied.Created, applied.Remaining.Keep, fields)
		assert.Equal(t, plan.Create[1:], applied.Remaining.Create, fields)
		check(applied.Created[0], err)
	}
}

// normalize returns equal text for equal subscriptions.
func normalize(p facade.CreateWebhookParams) string {
	events := slices.Clone(p.Events)
	slices.Sort(events)
	return fmt.Sprint(p.URL, slices.Compact(events))
}

// Some responses omit the fraction of a second. The oldest webhook stays the same.
func TestEnsureWebhook_fractionsOfASecond(t *testing.T) {
	t.Parallel()
	const date = "2024-08-08T14:12:18+00:00"
	list := strings.ReplaceAll(listJSON(1, 100, 2), "/apivideo/1", "/apivideo/0")
	for _, test := range []struct {
		first, second string
		index         int
	}{
		{date, date, 0},
		{"2024-08-08T14:12:18.9+00:00", date, 0},
		{date, "2024-08-08T14:12:18.5+00:00", 0},
		{"2024-08-08T14:12:18.9+00:00", "2024-08-08T14:12:18.5+00:00", 0},
		{"2024-08-08T14:12:18.1+00:00", "2024-08-08T14:12:17.9+00:00", 1},
		{date, "2024-08-08T16:12:17+02:00", 1},
	} {
		parts := strings.SplitN(list, date, 3)
		body := parts[0] + test.first + parts[1] + test.second + parts[2]
		wh, _, err := newClient(t, respond(200, body)).EnsureWebhook(t.Context(), newParams("https://hooks.example.com/apivideo/0", eventA, eventB))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("webhook_%022d", test.index), wh.ID, test)
	}
}

// A webhook without a URL or events cannot be compared.
func TestClient_listWithoutURLOrEvents(t *testing.T) {
	t.Parallel()
	list := listJSON(1, 100, 2)
	for name, list := range map[string]string{
		"no URL":       strings.Replace(list, `"url":"https://hooks.example.com/apivideo/1",`, "", 1),
		"empty URL":    strings.Replace(list, "https://hooks.example.com/apivideo/1", "", 1),
		"no events":    strings.Replace(list, `"events":["video.encoding.quality.completed","video.source.recorded"],`, "", 1),
		"empty events": strings.Replace(list, `"video.encoding.quality.completed","video.source.recorded"`, "", 1),
		"null events":  strings.Replace(list, `["video.encoding.quality.completed","video.source.recorded"]`, "null", 1),
		"empty event":  strings.Replace(list, `"video.encoding.quality.completed"`, `""`, 1),
		"ID only":      strings.Replace(list, webhookJSON(1), `{"webhookId":"webhook_0000000000000000000001"}`, 1),
	} {
		server := newScript(respond(200, list))
		client := newClient(t, server.ServeHTTP)
		_, _, ensureErr := client.EnsureWebhook(t.Context(), validParams)
		_, planErr := client.PlanWebhooks(t.Context(), paramsList{validParams}, facade.PlanOptions{})
		for _, err := range []error{ensureErr, planErr} {
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse, name)
			require.ErrorContains(t, err, `"webhook_000000000000000000000`, name)
			e := asError(t, err)
			assert.Equal(t, []any{"ListWebhooks", 0, 0}, []any{e.Op, e.StatusCode, e.Attempts}, name)
		}
		assert.Equal(t, 2, server.requests(), name)
	}
	plan, err := newClient(t, respond(403, "{}")).PlanWebhooks(t.Context(), nil, facade.PlanOptions{})
	require.ErrorIs(t, err, facade.ErrForbidden)
	assert.Nil(t, plan)
}
