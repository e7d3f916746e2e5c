package facade_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func TestEnsureWebhook(t *testing.T) {
	t.Parallel()
	for _, test := range reconcileTests {
		desired := parse(test.desired)
		if len(desired) != 1 {
			continue
		}
		for order, opts := range sortOrders {
			name, account := test.name+", "+order, newAccount(t, parse(test.held), opts...)
			wh, created, err := account.client.EnsureWebhook(t.Context(), desired[0])
			require.NoError(t, err, name)
			after := account.Webhooks()
			if test.keep != nil {
				assert.False(t, created, name)
				assert.Equal(t, account.held[test.keep[0]], wh, name)
				assert.Equal(t, []string{listRequest}, account.calls(), name)
				continue
			}
			assert.True(t, created, name)
			assert.Equal(t, []string{listRequest, createRequest}, account.calls(), name)
			require.Len(t, after, len(account.held)+1, name)
			assert.Equal(t, &after[len(account.held)], wh, name)
		}
	}
}

// A context that ends during the create leaves no time for the second list.
func TestEnsureWebhook_contextEnds(t *testing.T) {
	t.Parallel()
	account := newAccount(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := serve(account, r)
		if isCreate(r) {
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
	assert.Len(t, account.Webhooks(), 1, "the response is lost")
	assert.Len(t, account.Requests(), 2)
}

func TestEnsureWebhook_failedCreate(t *testing.T) {
	t.Parallel()
	const limitReached = `{"type":"https://docs.api.video/reference/webhook-limit-reached","status":400}`
	isList := func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/webhooks" }
	createBy := func(f facadetest.Fault) facadetest.Fault {
		f.Match = isCreate
		return f
	}
	listFailsAfter := func(f facadetest.Fault) []facadetest.Fault {
		return []facadetest.Fault{f, {Match: isList}, {Match: isList, Status: 403}}
	}
	lost := createBy(facadetest.Fault{Reset: facadetest.ResetAfterRead})
	lostResponse := createBy(facadetest.Fault{Reset: facadetest.ResetAfterRead, Process: true})
	full := createBy(facadetest.Fault{Status: 400, Body: limitReached})
	tests := []struct {
		name   string
		faults []facadetest.Fault
		other  bool    // a concurrent client creates the webhook
		want   []error // nil means that the webhook is found
		calls  int
	}{
		{"created, lost response", []facadetest.Fault{lostResponse}, false, nil, 3},
		{"created, truncated response", []facadetest.Fault{createBy(facadetest.Fault{Truncate: true})}, false, nil, 3},
		{"created, 500", []facadetest.Fault{createBy(facadetest.Fault{Process: true, Status: 500})}, false, nil, 3},
		{"created by another client, lost request", []facadetest.Fault{createBy(facadetest.Fault{}), lost}, true, nil, 4},
		{"created by another client, limit reached", []facadetest.Fault{createBy(facadetest.Fault{}), full}, true, nil, 4},
		{"lost request", []facadetest.Fault{lost}, false, []error{facade.ErrUnconfirmed}, 3},
		{"500", []facadetest.Fault{createBy(facadetest.Fault{Status: 500})}, false, []error{facade.ErrUnconfirmed, facade.ErrServer}, 3},
		{"lost response, second list fails", listFailsAfter(lostResponse), false, []error{facade.ErrUnconfirmed, facade.ErrForbidden}, 3},
		{"limit reached, second list fails", listFailsAfter(full), false, []error{facade.ErrWebhookLimitReached, facade.ErrForbidden}, 3},
		{"limit reached", []facadetest.Fault{full}, false, []error{facade.ErrWebhookLimitReached}, 3},
		{"403", []facadetest.Fault{createBy(facadetest.Fault{Status: 403})}, false, []error{facade.ErrForbidden}, 2},
		{"first list fails", []facadetest.Fault{{Match: isList, Status: 403}}, false, []error{facade.ErrForbidden}, 1},
	}
	for _, test := range tests {
		account := newAccount(t, nil)
		account.Inject(test.faults...)
		client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
			if test.other && isCreate(r) {
				require.NoError(t, createWebhook(t.Context(), account.client))
			}
			return serve(account, r)
		}))
		wh, created, err := client.EnsureWebhook(t.Context(), validParams)
		assert.Len(t, account.calls(), test.calls, test.name)
		if test.want == nil {
			require.NoError(t, err, test.name)
			assert.Equal(t, !strings.Contains(test.name, "limit reached"), created, test.name)
			assert.Equal(t, []facade.Webhook{*wh}, account.Webhooks(), test.name)
			continue
		}
		assert.False(t, created, test.name)
		assert.Nil(t, wh, test.name)
		for _, want := range test.want {
			require.ErrorIs(t, err, want, test.name)
		}
		require.ErrorIs(t, asError(t, err), test.want[0], test.name)
		assert.Equal(t, strings.Contains(test.name, "second list"), strings.Contains(err.Error(), "looking for the webhook failed"))
		_, _, err = account.client.EnsureWebhook(t.Context(), validParams)
		require.NoError(t, err, "another call suffices")
		assert.Len(t, account.Webhooks(), 1, test.name)
	}
}

// All callers select the same webhook among equally old duplicates, in any order of the list.
// Some responses omit the fraction of a second.
func TestClient_oldestDuplicate(t *testing.T) {
	t.Parallel()
	const date = "2024-08-08T14:12:18+00:00"
	for _, test := range []struct {
		first, second string
		oldest        int
	}{
		{date, date, 1},
		{"2024-08-08T14:12:18.9+00:00", date, 1},
		{date, "2024-08-08T14:12:18.5+00:00", 1},
		{"2024-08-08T14:12:18.9+00:00", "2024-08-08T14:12:18.5+00:00", 1},
		{"2024-08-08T14:12:18.1+00:00", "2024-08-08T14:12:17.9+00:00", 2},
		{date, "2024-08-08T16:12:17+02:00", 2},
	} {
		a := strings.Replace(webhookJSON(1), date, test.first, 1)
		b := strings.NewReplacer("apivideo/2", "apivideo/1", date, test.second).Replace(webhookJSON(2))
		p := newCreation(hooks+"apivideo/1", eventA, eventB)
		for _, list := range []string{a + "," + b, b + "," + a} {
			client := newClient(t, respond(200, pageJSON(list, 1, 100, 1, 2)))
			wh, created, err := client.EnsureWebhook(t.Context(), p)
			require.NoError(t, err)
			assert.False(t, created)
			assert.Equal(t, fmt.Sprintf("webhook_%022d", test.oldest), wh.ID, test)
			plan, err := client.PlanWebhooks(t.Context(), paramsList{p}, facade.PlanOptions{})
			require.NoError(t, err)
			assert.Equal(t, []*facade.Webhook{wh}, plan.Keep, test)
			assert.Len(t, plan.Delete, 1, test)
		}
	}
}

// A webhook without a URL or events cannot be compared.
func TestClient_listWithoutURLOrEvents(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		`"events":["video.source.recorded"]`,
		`"events":["video.source.recorded"],"url":""`,
		`"url":"https://h/"`,
		`"url":"https://h/","events":[]`,
		`"url":"https://h/","events":null`,
		`"url":"https://h/","events":["video.source.recorded",""]`,
		`"createdAt":"2024-08-08T14:12:18+00:00"`,
	} {
		list := pageJSON(webhookJSON(1)+`,{"webhookId":"webhook_2",`+fields+`}`, 1, 100, 1, 2)
		server := newScript(respond(200, list))
		client := newClient(t, server.ServeHTTP)
		_, _, ensureErr := client.EnsureWebhook(t.Context(), validParams)
		_, planErr := client.PlanWebhooks(t.Context(), paramsList{validParams}, facade.PlanOptions{})
		for _, err := range []error{ensureErr, planErr} {
			assert.Equal(t, []error{facade.ErrUnexpectedResponse}, sentinelsOf(err), fields)
			require.ErrorContains(t, err, `apivideo: ListWebhooks: unexpected response: webhook "webhook_2" has no URL`, fields)
			e := asError(t, err)
			assert.Equal(t, []any{"ListWebhooks", 0, 0}, []any{e.Op, e.StatusCode, e.Attempts}, fields)
		}
		assert.Equal(t, 2, server.requests(), fields)
	}
	plan, err := newClient(t, respond(403, "{}")).PlanWebhooks(t.Context(), nil, facade.PlanOptions{})
	require.ErrorIs(t, err, facade.ErrForbidden)
	assert.Nil(t, plan)
}

// The service is known to omit fields. The client requests an omitted secret.
func TestClient_omittedSecret(t *testing.T) {
	t.Parallel()
	const text = "sig_sec_0000000000000000000000"
	const secret = `,"signatureSecret":"` + text + `"`
	bare := strings.Replace(webhookJSON(0), secret, "", 1)
	want := facade.Webhook{
		ID: webhookID, URL: hooks + "apivideo/0", Events: []facade.EventType{eventA, eventB},
		CreatedAt: time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC),
	}
	p := newCreation(want.URL, want.Events...)
	empty, held, created := respond(200, listJSON(1, 100, 0)), respond(200, pageJSON(bare, 1, 100, 1, 1)), respond(201, bare)
	for name, before := range map[string][]http.HandlerFunc{ // the responses before that of the request for the secret
		"found": {held}, "created": {empty, created}, "unconfirmed": {empty, unavailable, held}, "applied": {created},
	} {
		for _, test := range []struct {
			get    http.HandlerFunc
			want   error
			secret string
		}{
			{respond(200, webhookJSON(0)), nil, text},
			{respond(200, `{"webhookId":"`+webhookID+`"`+secret+`}`), nil, text},
			{respond(200, bare), nil, ""},
			{respond(403, "{}"), facade.ErrForbidden, ""},
			{respond(404, "{}"), facade.ErrNotFound, ""},
		} {
			server := newScript(append(slices.Clip(before), test.get, respond(204, ""))...)
			client := newClient(t, server.ServeHTTP)
			var wh *facade.Webhook
			var err error
			if name == "applied" {
				plan := &facade.Plan{Create: paramsList{p}, Delete: []*facade.Webhook{{ID: "webhook_1"}}}
				var applied *facade.Applied
				applied, err = client.ApplyPlan(t.Context(), plan)
				wh = applied.Created[0]
				assert.Empty(t, applied.Remaining.Create)
				assert.Equal(t, test.want == nil, applied.Remaining.Empty())
			} else {
				var isCreated bool
				wh, isCreated, err = client.EnsureWebhook(t.Context(), p)
				assert.Equal(t, name != "found", isCreated, name)
			}
			require.ErrorIs(t, err, test.want, name)
			if err != nil {
				assert.Equal(t, "GetWebhook", asError(t, err).Op, name)
			}
			got := *wh
			assert.Equal(t, test.secret, got.SignatureSecret.Reveal(), name)
			assert.True(t, want.CreatedAt.Equal(got.CreatedAt), name)
			got.SignatureSecret, got.CreatedAt = facade.Secret{}, want.CreatedAt
			assert.Equal(t, want, got, name)
		}
	}
}

// The service may store another URL or other events. Without an error each run would
// create another webhook.
func TestClient_createdOtherwise(t *testing.T) {
	t.Parallel()
	const (
		url    = `"url":"https://hooks.example.com/a"`
		events = `"events":["video.encoding.quality.completed","video.source.recorded"]`
	)
	for fields, isValid := range map[string]bool{
		url + `,` + events: true,
		url + `,"events":["video.source.recorded","video.encoding.quality.completed"]`: true,
		events: true,
		url:    true,
		`"createdAt":"2024-08-08T14:12:18+00:00"`:                                 true,
		`"url":"https://hooks.example.com/a/",` + events:                          false,
		`"url":"https://hooks.example.com/a/"`:                                    false,
		url + `,"events":["video.encoding.quality.completed"]`:                    false,
		`"events":["video.encoding.quality.completed","video.caption.generated"]`: false,
		`"url":"https://user:zq!password@hooks.example.com/a",` + events:          false,
		`"url":"http:/user:zq!password@h"`:                                        false,
	} {
		want := parse("a:AB")
		check := func(wh *facade.Webhook, err error) {
			t.Helper()
			assert.Equal(t, webhookID, wh.ID, fields)
			if isValid {
				require.NoError(t, err, fields)
				assert.Equal(t, "a:AB", formatWebhooks([]facade.Webhook{*wh}), fields)
				assert.NotSame(t, &want[0].Events[0], &wh.Events[0], fields)
				assert.False(t, wh.SignatureSecret.IsZero(), fields)
				return
			}
			assert.Equal(t, []error{facade.ErrUnexpectedResponse}, sentinelsOf(err), fields)
			require.ErrorContains(t, err, "not as https://hooks.example.com/a [video.encoding.quality.completed video.source.recorded]")
			require.NotContains(t, err.Error(), "password")
			e := asError(t, err)
			assert.Equal(t, []any{"CreateWebhook", 0, 0}, []any{e.Op, e.StatusCode, e.Attempts})
		}
		empty, created := respond(200, listJSON(1, 100, 0)), respond(201, `{"webhookId":"`+webhookID+`",`+fields+`}`)
		client := newClient(t, newScript(empty, created, respond(200, webhookJSON(0))).ServeHTTP)
		wh, isCreated, err := client.EnsureWebhook(t.Context(), want[0])
		assert.True(t, isCreated, fields)
		check(wh, err)
		if !isValid {
			want = append(want, validParams) // remains
		}
		client = newClient(t, newScript(created, respond(200, webhookJSON(0))).ServeHTTP)
		applied, err := client.ApplyPlan(t.Context(), &facade.Plan{Create: want})
		require.Len(t, applied.Created, 1, fields)
		assert.Equal(t, applied.Created, applied.Remaining.Keep, fields)
		assert.Equal(t, want[1:], applied.Remaining.Create, fields)
		check(applied.Created[0], err)
	}
}
