package facade_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// ownsAll selects every webhook of the account.
var ownsAll = facade.PlanOptions{Owns: func(*facade.Webhook) bool { return true }}

func TestPlanWebhooks(t *testing.T) {
	t.Parallel()
	ownsRetired := facade.PlanOptions{Owns: func(wh *facade.Webhook) bool { return strings.HasPrefix(wh.URL, hook+"/retired") }}
	ownsNone := facade.PlanOptions{Owns: func(*facade.Webhook) bool { return false }}
	a, ab := newParams(hook, eventA), newParams(hook, eventA, eventB)
	other := newParams(hook+"/other", eventA)
	tests := []struct {
		name                 string
		held, desired        paramsList
		opts                 facade.PlanOptions
		keep, create, remove []int // indexes of held, desired and held
	}{
		{name: "none held, none desired"},
		{name: "none desired", held: paramsList{a}},
		{name: "none desired, all owned", held: paramsList{a}, opts: ownsAll, remove: []int{0}},
		{name: "none held", desired: paramsList{a}, create: []int{0}},
		{name: "equal", held: paramsList{a}, desired: paramsList{a}, keep: []int{0}},
		{name: "events in another order", held: paramsList{ab}, desired: paramsList{newParams(hook, eventB, eventA, eventB)}, keep: []int{0}},
		{name: "one event more", held: paramsList{a}, desired: paramsList{ab}, create: []int{0}, remove: []int{0}},
		{name: "one event fewer", held: paramsList{ab}, desired: paramsList{a}, create: []int{0}, remove: []int{0}},
		{name: "duplicates", held: paramsList{ab, newParams(hook, eventB, eventA), ab}, desired: paramsList{ab}, keep: []int{0}, remove: []int{1, 2}},
		{name: "URL with a slash", held: paramsList{newParams(hook+"/", eventA)}, desired: paramsList{a}, create: []int{0}},
		{name: "desired twice", desired: paramsList{ab, newParams(hook, eventB, eventA, eventA)}, create: []int{0}},
		{
			name: "URL with different events",
			held: paramsList{newParams(hook, eventC), newParams(hook, eventB)}, desired: paramsList{a, newParams(hook, eventB)},
			keep: []int{1}, create: []int{0}, remove: []int{0},
		},
		{name: "URL with overlapping events", held: paramsList{ab}, desired: paramsList{a, ab}, keep: []int{0}, create: []int{0}},
		{
			name: "other URLs, some owned", held: paramsList{newParams(hook+"/retired/1", eventA), other, a}, desired: paramsList{a},
			opts: ownsRetired, keep: []int{2}, remove: []int{0},
		},
		{name: "other URLs, all owned", held: paramsList{a, other}, desired: paramsList{a}, opts: ownsAll, keep: []int{0}, remove: []int{1}},
		{
			name: "desired URL, none owned", held: paramsList{newParams(hook, eventB), other}, desired: paramsList{a},
			opts: ownsNone, create: []int{0}, remove: []int{0},
		},
		{
			name:    "order of the desired webhooks",
			held:    paramsList{newParams(hook+"/4", eventA), newParams(hook+"/2", eventA), newParams(hook+"/1", eventB)},
			desired: paramsList{newParams(hook+"/1", eventA), newParams(hook+"/2", eventA), newParams(hook+"/3", eventA), newParams(hook+"/4", eventA)},
			keep:    []int{1, 0}, create: []int{0, 2}, remove: []int{2},
		},
	}
	for _, test := range tests {
		for order, opts := range sortOrders {
			t.Run(test.name+"/"+order, func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, test.held, opts...)
				plan, err := account.client.PlanWebhooks(t.Context(), test.desired, test.opts)
				require.NoError(t, err)
				var create paramsList
				for _, i := range test.create {
					create = append(create, test.desired[i])
				}
				assert.Equal(t, &facade.Plan{Keep: account.heldAt(test.keep...), Create: create, Delete: account.heldAt(test.remove...)}, plan)
				assert.Equal(t, len(test.create)+len(test.remove) == 0, plan.Empty())
				assert.Equal(t, []string{listRequest}, account.requests())
				assert.Equal(t, account.held, account.server.Webhooks())
				applied, err := account.client.ApplyPlan(t.Context(), plan)
				require.NoError(t, err)
				assert.True(t, applied.Remaining.Empty())
				assert.Len(t, account.requests(), 1+len(test.create)+len(test.remove))
				plan, err = account.client.PlanWebhooks(t.Context(), test.desired, test.opts)
				require.NoError(t, err)
				assert.True(t, plan.Empty(), plan)
				assert.Len(t, plan.Keep, len(test.keep)+len(test.create))
			})
		}
	}
}

func TestPlanWebhooks_arguments(t *testing.T) {
	t.Parallel()
	account := newAccount(t, paramsList{newParams(hook, eventA), newParams(hook, eventB), newParams(hook+"/1", eventA), newParams(hook+"/2", eventA)})
	var asked []*facade.Webhook
	desired := paramsList{newParams(hook, eventC)}
	plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{Owns: func(wh *facade.Webhook) bool {
		asked = append(asked, wh)
		return false
	}})
	require.NoError(t, err)
	assert.Equal(t, account.heldAt(2, 3), asked, "Owns is called for other URLs only")
	desired[0].Events[0], desired[0].URL = eventB, hook+"/other"
	assert.Equal(t, paramsList{newParams(hook, eventC)}, plan.Create, "the plan has copies")
}

// newPlan returns a plan with secrets, passwords and control characters.
func newPlan() *facade.Plan {
	secret := facade.NewSecret(markedSecret)
	return &facade.Plan{
		Keep: []*facade.Webhook{{ID: "webhook_1", URL: hook, Events: []facade.EventType{eventA}, SignatureSecret: secret}},
		Create: paramsList{
			newParams("https://user:zq!password@hooks.example.com/b?c=d#e", eventB, eventA),
			newParams("https://hooks.example.com/\u202eb/\u00e9", "video.\x1b[31minvented"),
		},
		Delete: []*facade.Webhook{
			{ID: "webhook_\r2", URL: "https://hooks.example.com/c\x1b[2J\nx", Events: []facade.EventType{eventA, eventC}, SignatureSecret: secret},
			{ID: "webhook_3", URL: "https://user:zq!password%@hooks.example.com/d", Events: []facade.EventType{eventA}, SignatureSecret: secret},
		},
	}
}

func TestPlan_String(t *testing.T) {
	t.Parallel()
	const want = `= https://hooks.example.com/a [video.encoding.quality.completed] (webhook_1)
- https://hooks.example.com/c [2J x [video.encoding.quality.completed video.caption.generated] (webhook_ 2)
+ https://hooks.example.com/ b/é [video. [31minvented]
- …@hooks.example.com/d [video.encoding.quality.completed] (webhook_3)
+ https://user:xxxxx@hooks.example.com/b?c=d#e [video.source.recorded video.encoding.quality.completed]
2 to create, 2 to delete, 1 to keep
`
	plan := newPlan()
	assert.Equal(t, want, fmt.Sprint(plan))
	assert.Equal(t, want, fmt.Sprint(facade.Applied{Remaining: *plan}.Remaining))
	assert.Equal(t, "0 to create, 0 to delete, 0 to keep\n", new(facade.Plan).String())
	assert.True(t, new(facade.Plan).Empty())
	assert.True(t, facade.Plan{Keep: plan.Keep}.Empty())
	assert.False(t, facade.Plan{Create: plan.Create}.Empty())
	assert.False(t, facade.Plan{Delete: plan.Delete}.Empty())
	webhook := func(id, url string, event facade.EventType) *facade.Webhook {
		return &facade.Webhook{ID: id, URL: url, Events: []facade.EventType{event}}
	}
	plan = &facade.Plan{
		Keep:   []*facade.Webhook{webhook("webhook_1", hook+"/b", "kept"), webhook("webhook_2", hook, "kept")},
		Create: paramsList{newParams(hook+"/b", "new"), newParams(hook, "new 2"), newParams(hook, "new 1")},
		Delete: []*facade.Webhook{webhook("webhook_3", hook+"-", "old"), webhook("webhook_4", hook, "old"), webhook("webhook_5", hook+"/b", "old")},
	}
	assert.Equal(t, `- https://hooks.example.com/a [old] (webhook_4)
+ https://hooks.example.com/a [new 2]
+ https://hooks.example.com/a [new 1]
= https://hooks.example.com/a [kept] (webhook_2)
- https://hooks.example.com/a- [old] (webhook_3)
- https://hooks.example.com/a/b [old] (webhook_5)
+ https://hooks.example.com/a/b [new]
= https://hooks.example.com/a/b [kept] (webhook_1)
3 to create, 3 to delete, 2 to keep
`, plan.String())
}

func TestPlan_passwordOfMalformedURL(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, url := range []string{
		"http:/user:zq!password@h/x", "http:///user:zq!password@h", "/user:zq!password@h", "user:zq!password@h", "http:user:zq!password@h", "http://user:zq!password@h:x/",
	} {
		p := facade.CreateWebhookParams{URL: url, Events: validParams.Events}
		wh := &facade.Webhook{ID: "webhook_1", URL: url, Events: validParams.Events}
		plan := &facade.Plan{Keep: []*facade.Webhook{wh}, Create: paramsList{p, p}, Delete: []*facade.Webhook{wh}}
		client := newClient(t, succeed)
		_, err := client.ApplyPlan(ctx, plan)
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
		_, planErr := client.PlanWebhooks(ctx, []facade.CreateWebhookParams{p}, facade.PlanOptions{})
		require.ErrorIs(t, planErr, facade.ErrInvalidArgument)
		_, _, ensureErr := client.EnsureWebhook(ctx, p)
		require.ErrorIs(t, ensureErr, facade.ErrInvalidArgument)
		for _, text := range []string{plan.String(), plan.LogValue().String(), err.Error(), planErr.Error(), ensureErr.Error()} {
			assert.Contains(t, text, "…@h")
			assert.NotContains(t, text, "password")
		}
	}
	// The service stored another URL than that of the request.
	stored := `{"webhookId":"webhook_1","events":["video.encoding.quality.completed"],"url":"http:/user:zq!password@h"}`
	client := newClient(t, newScript(respond(200, listJSON(1, 100, 0)), respond(201, stored)).ServeHTTP)
	_, _, err := client.EnsureWebhook(ctx, validParams)
	require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
	require.ErrorContains(t, err, "…@h")
	assert.NotContains(t, err.Error(), "password")
}

func TestPlan_nilWebhook(t *testing.T) {
	t.Parallel()
	plan := facade.Plan{
		Keep:   []*facade.Webhook{nil},
		Create: paramsList{{}, {URL: "http:user:zq!password@host"}},
		Delete: []*facade.Webhook{nil, {ID: "webhook_1"}},
	}
	text := plan.String()
	assert.Contains(t, text, "2 to create, 2 to delete, 1 to keep")
	assert.Contains(t, text, "<nil>")
	assert.NotContains(t, text, "zq!password")
	assert.NotContains(t, plan.LogValue().String(), "zq!password")
}

func TestPlan_LogValue(t *testing.T) {
	t.Parallel()
	plan := newPlan()
	for _, v := range []any{plan, *plan} {
		var buf bytes.Buffer
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", slog.Any("plan", v))
		var line struct {
			Plan json.RawMessage `json:"plan"`
		}
		require.NoError(t, json.Unmarshal(buf.Bytes(), &line))
		assert.JSONEq(t, `{
			"create": [
				"https://user:xxxxx@hooks.example.com/b?c=d#e [video.source.recorded video.encoding.quality.completed]",
				"https://hooks.example.com/ b/é [video. [31minvented]"
			],
			"delete": [
				"https://hooks.example.com/c [2J x [video.encoding.quality.completed video.caption.generated] (webhook_ 2)",
				"…@hooks.example.com/d [video.encoding.quality.completed] (webhook_3)"
			],
			"keep": 1
		}`, string(line.Plan))
	}
}

func TestApplyPlan_invalidPlan(t *testing.T) {
	t.Parallel()
	wh := &facade.Webhook{ID: "webhook_1", URL: hook, Events: []facade.EventType{eventA}}
	for name, plan := range map[string]*facade.Plan{
		"nil":               nil,
		"nil to keep":       {Keep: []*facade.Webhook{wh, nil}},
		"nil to delete":     {Delete: []*facade.Webhook{wh, nil}},
		"no ID to delete":   {Delete: []*facade.Webhook{wh, {URL: hook}}},
		"ID .":              {Delete: []*facade.Webhook{wh, {ID: "."}}},
		"ID ..":             {Delete: []*facade.Webhook{wh, {ID: ".."}}},
		"kept and deleted":  {Keep: []*facade.Webhook{{ID: "webhook_2"}, wh}, Delete: []*facade.Webhook{{ID: "webhook_3"}, {ID: "webhook_1"}}},
		"deleted twice":     {Delete: []*facade.Webhook{wh, {ID: "webhook_2"}, {ID: "webhook_1"}}},
		"created twice":     {Create: paramsList{newParams(hook, eventA, eventB), validParams, newParams(hook, eventB, eventA)}},
		"invalid to create": {Create: paramsList{validParams, newParams(hook)}},
	} {
		server := newScript(succeed)
		applied, err := newClient(t, server.ServeHTTP).ApplyPlan(t.Context(), plan)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "ApplyPlan", name)
		if plan == nil {
			plan = new(facade.Plan)
		}
		assert.Equal(t, &facade.Applied{Remaining: *plan}, applied, name)
		assert.Zero(t, server.requests(), name)
	}
}

func TestApplyPlan_stopsAtFirstError(t *testing.T) {
	t.Parallel()
	desired := paramsList{newParams(hook+"/1", eventB), newParams(hook+"/2", eventB), newParams(hook+"/3", eventB)}
	faults := map[string]struct {
		fault          facadetest.Fault
		create, remove error
	}{
		"403":                  {facadetest.Fault{Status: 403}, facade.ErrForbidden, facade.ErrForbidden},
		"400":                  {facadetest.Fault{Status: 400}, facade.ErrBadRequest, facade.ErrBadRequest},
		"500":                  {facadetest.Fault{Status: 500, Times: 4}, facade.ErrUnconfirmed, facade.ErrServer},
		"500 after processing": {facadetest.Fault{Status: 500, Process: true}, facade.ErrUnconfirmed, nil},
		"lost response":        {facadetest.Fault{Reset: facadetest.ResetAfterRead, Process: true}, facade.ErrUnconfirmed, nil},
		"lost request":         {facadetest.Fault{Reset: facadetest.ResetBeforeRead}, facade.ErrUnconfirmed, nil},
		"429":                  {facadetest.Fault{Status: 429}, nil, nil},
	}
	for name, f := range faults {
		for step := range 6 { // three creates and three deletes
			t.Run(fmt.Sprintf("%s/write %d", name, step+1), func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, paramsList{newParams(hook+"/1", eventA), newParams(hook+"/2", eventA), newParams(hook+"/3", eventA)})
				plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
				require.NoError(t, err)
				if step > 0 {
					account.server.Inject(facadetest.Fault{Times: step}) // for the writes before
				}
				account.server.Inject(f.fault)
				applied, err := account.client.ApplyPlan(t.Context(), plan)
				want := f.create
				if step >= 3 {
					want = f.remove
				}
				created, deleted := 3, 3
				require.ErrorIs(t, err, want)
				if want != nil {
					_ = asError(t, err)
					created, deleted = min(step, 3), max(step-3, 0)
				}
				require.Len(t, applied.Created, created)
				for i, wh := range applied.Created {
					assert.Equal(t, desired[i], newParams(wh.URL, wh.Events...))
					assert.False(t, wh.SignatureSecret.IsZero())
				}
				assert.Equal(t, plan.Delete[:deleted], append([]*facade.Webhook{}, applied.Deleted...))
				assert.Equal(t, plan.Create[created:], applied.Remaining.Create)
				assert.Equal(t, plan.Delete[deleted:], applied.Remaining.Delete)
				assert.Equal(t, applied.Created, applied.Remaining.Keep[len(plan.Keep):])
				assert.Equal(t, want == nil, applied.Remaining.Empty())
				assert.Zero(t, applied.DeletedEarly)
				plan, err = account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
				require.NoError(t, err)
				_, err = account.client.ApplyPlan(t.Context(), plan)
				require.NoError(t, err)
				assert.ElementsMatch(t, desired, paramsOf(account.server.Webhooks()))
			})
		}
	}
}

// paramsOf returns the parameters of webhooks.
func paramsOf(webhooks []facade.Webhook) paramsList {
	all := make(paramsList, len(webhooks))
	for i, wh := range webhooks {
		all[i] = newParams(wh.URL, wh.Events...)
	}
	return all
}

// A webhook that does not exist counts as deleted, but not after a 404 of another kind.
func TestApplyPlan_404(t *testing.T) {
	t.Parallel()
	plan := &facade.Plan{Delete: []*facade.Webhook{{ID: "webhook_1"}}}
	for body, isDeleted := range map[string]bool{
		`{"type":"https://docs.api.video/reference/resource-not-found","title":"The requested resource was not found."}`: true,
		`{"type":"https://docs.api.video/docs/resource-not-found/"}`:                                                     true,
		`{"title":"Not found"}`: true,
		``:                      true,
		`{"type":"https://docs.api.video/reference/unrecognized-request-url","title":"Unrecognized request URL."}`: false,
		`{"type":"about:blank"}`: false,
		"token request":          false,
	} {
		var opts []facade.Option
		if body == "token request" {
			body, opts = "", []facade.Option{facade.WithTokenExchange()}
		}
		applied, err := newClient(t, respond(404, body), opts...).ApplyPlan(t.Context(), plan)
		if isDeleted {
			require.NoError(t, err, body)
			assert.Equal(t, plan.Delete, applied.Deleted, body)
			continue
		}
		require.ErrorIs(t, err, facade.ErrNotFound, body)
		assert.Equal(t, &facade.Applied{Remaining: *plan}, applied, body)
	}
}

func TestApplyPlan_changedPlan(t *testing.T) {
	t.Parallel()
	held := paramsList{newParams(hook, eventA), newParams(hook, eventB), newParams(hook+"/other", eventA)}
	account := newAccount(t, held, facadetest.WithWebhookLimit(3))
	plan, err := account.client.PlanWebhooks(t.Context(), paramsList{newParams(hook, eventC)}, facade.PlanOptions{})
	require.NoError(t, err)
	plan.Keep = slices.Grow(plan.Keep, 1)
	plan.Delete = append(plan.Delete[1:], &facade.Webhook{ID: account.held[2].ID})
	plan.Create = append(plan.Create, newParams(hook+"/more", eventA))
	before := facade.Plan{Keep: slices.Clone(plan.Keep), Create: slices.Clone(plan.Create), Delete: slices.Clone(plan.Delete)}
	_, err = account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, &before, plan, "the plan of the caller is not changed")
	assert.Nil(t, plan.Keep[:1][0])
	assert.Equal(t, paramsList{held[0], newParams(hook, eventC), newParams(hook+"/more", eventA)}, paramsOf(account.server.Webhooks()))
}

// A full account. ApplyPlan deletes as few webhooks early as possible, first webhooks
// whose events are not missed.
func TestApplyPlan_fullAccount(t *testing.T) {
	t.Parallel()
	b, c, d := hook+"/b", hook+"/c", hook+"/d"
	a := newParams(hook, eventA)
	tests := []struct {
		name          string
		limit         int
		held, desired paramsList
		early         []int // indexes of held, in the order of the deletes
		isMissed      bool  // an event is missed meanwhile
		left          int   // of the desired webhooks
	}{
		{
			name: "room for all", limit: 4,
			held: paramsList{a, newParams(b, eventA)}, desired: paramsList{newParams(hook, eventB), newParams(b, eventB)},
		},
		{
			name: "room for one of two", limit: 3,
			held: paramsList{a, newParams(b, eventA)}, desired: paramsList{newParams(hook, eventB), newParams(b, eventB)},
			early: []int{0},
		},
		{
			name: "no room for three of four", limit: 4,
			held:    paramsList{a, newParams(b, eventA), newParams(c, eventA), newParams(hook, eventA, eventC)},
			desired: paramsList{newParams(hook, eventB), newParams(b, eventB), newParams(c, eventB)},
			early:   []int{0, 1, 2},
		},
		{
			name: "duplicate before a replaced webhook", limit: 3,
			held: paramsList{newParams(b, eventA), a, a}, desired: paramsList{newParams(b, eventA, eventB), a},
			early: []int{2},
		},
		{
			name: "events that are not desired before a replaced webhook", limit: 2,
			held: paramsList{a, newParams(b, eventA)}, desired: paramsList{newParams(hook, eventA, eventB), newParams(b, eventB)},
			early: []int{1, 0}, // by then the other webhook is replaced
		},
		{
			name: "two replaced webhooks with equal events", limit: 3,
			held: paramsList{newParams(c, eventC), a, a}, desired: paramsList{newParams(c, eventC, eventB), newParams(hook, eventA, eventB)},
			early: []int{1, 0},
		},
		{
			name: "webhook that the next create replaces", limit: 3,
			held:    paramsList{a, newParams(b, eventA), newParams(c, eventA)},
			desired: paramsList{newParams(c, eventA, eventB), newParams(hook, eventA, eventB), newParams(b, eventA)},
			early:   []int{2, 0}, isMissed: true,
		},
		{
			name: "webhook that the next create and a later one replace", limit: 3,
			held:    paramsList{newParams(b, eventA), a, newParams(b, eventC)},
			desired: paramsList{newParams(hook, eventA, eventC), newParams(hook, eventA, eventB), newParams(b, eventA, eventB, eventC)},
			early:   []int{1, 0, 2}, isMissed: true,
		},
		{
			name: "fewest missed events", limit: 2,
			held:    paramsList{newParams(b, eventA, eventC), a},
			desired: paramsList{newParams(d, eventA), newParams(b, eventA, eventB, eventC), newParams(hook, eventA, eventB)},
			early:   []int{1, 0}, isMissed: true, left: 1,
		},
		{
			name: "events of a kept webhook before a replaced webhook", limit: 3,
			held:    paramsList{newParams(b, eventA), a, newParams(hook, eventA, eventB)},
			desired: paramsList{newParams(d, eventA), newParams(b, eventA, eventC), a, newParams(hook, eventA, eventC)},
			early:   []int{2, 0}, isMissed: true, left: 1,
		},
		{name: "none to delete", limit: 1, held: paramsList{a}, desired: paramsList{a, newParams(hook, eventB)}, left: 1},
		{
			name: "more desired than the limit", limit: 2,
			held: paramsList{newParams(hook, eventC)}, desired: paramsList{a, newParams(b, eventA), newParams(c, eventA), newParams(d, eventA)},
			early: []int{0}, left: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, test.held, facadetest.WithWebhookLimit(test.limit))
			plan, err := account.client.PlanWebhooks(t.Context(), test.desired, facade.PlanOptions{})
			require.NoError(t, err)
			// The desired events that are notified at first are observed at each request.
			watched := notified(account.server)
			maps.DeleteFunc(watched, func(n notification, _ bool) bool { return !notifications(test.desired)[n] })
			isMissed := false
			client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
				isMissed = isMissed || !containsAll(notified(account.server), watched)
				return serve(account.server, r)
			}))
			applied, err := client.ApplyPlan(t.Context(), plan)
			refused := 0
			if test.left == 0 {
				require.NoError(t, err)
				assert.ElementsMatch(t, test.desired, paramsOf(account.server.Webhooks()))
			} else {
				require.ErrorIs(t, err, facade.ErrWebhookLimitReached)
				refused++
			}
			if len(test.early) > 0 {
				refused++ // the create that shows that the account is full
			}
			assert.Equal(t, len(test.early), applied.DeletedEarly)
			assert.Equal(t, idsOf(account.heldAt(test.early...)), idsOf(applied.Deleted[:applied.DeletedEarly]))
			assert.Len(t, applied.Remaining.Create, test.left)
			assert.Equal(t, test.isMissed, isMissed)
			assert.Len(t, account.requests(), 1+len(applied.Created)+len(applied.Deleted)+refused)
		})
	}
}

// A webhook that does not exist frees no place, and another webhook is deleted.
func TestApplyPlan_fullAccountAnd404(t *testing.T) {
	t.Parallel()
	account := newAccount(t, paramsList{newParams(hook, eventA), newParams(hook, eventB)}, facadetest.WithWebhookLimit(2))
	plan, err := account.client.PlanWebhooks(t.Context(), paramsList{newParams(hook, eventC)}, facade.PlanOptions{})
	require.NoError(t, err)
	require.NoError(t, account.client.DeleteWebhook(t.Context(), account.held[0].ID))
	other, err := account.client.CreateWebhook(t.Context(), newParams(hook+"/other", eventA))
	require.NoError(t, err)
	applied, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, 2, applied.DeletedEarly)
	assert.Equal(t, account.heldAt(0, 1), applied.Deleted)
	assert.Equal(t, []facade.Webhook{*other, *applied.Created[0]}, account.server.Webhooks())
}

// A notification is an event for a URL.
type notification struct {
	url   string
	event facade.EventType
}

// notifications returns the notifications of webhooks.
func notifications(webhooks paramsList) map[notification]bool {
	all := make(map[notification]bool)
	for _, p := range webhooks {
		for _, event := range p.Events {
			all[notification{p.URL, event}] = true
		}
	}
	return all
}

// notified returns the notifications of the webhooks of a server.
func notified(server *facadetest.Server) map[notification]bool {
	return notifications(paramsOf(server.Webhooks()))
}

func containsAll(all, some map[notification]bool) bool {
	for n := range some {
		if !all[n] {
			return false
		}
	}
	return true
}
