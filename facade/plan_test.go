package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
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

// ownsAll claims every webhook of the account.
var ownsAll = facade.PlanOptions{Owns: func(*facade.Webhook) bool { return true }}

func TestPlan(t *testing.T) {
	t.Parallel()
	type params = []facade.CreateWebhookParams
	retired := facade.PlanOptions{Owns: func(wh *facade.Webhook) bool { return strings.HasPrefix(wh.URL, hook+"/retired") }}
	nothing := facade.PlanOptions{Owns: func(*facade.Webhook) bool { return false }}
	tests := []struct {
		name          string
		held, desired params
		opts          facade.PlanOptions
		keep          []int // places among those held
		create        []int // places among the desired
		remove        []int // places among those held
	}{
		{name: "nothing there, nothing desired"},
		{name: "there, and nothing desired: not the plan's", held: params{subscribing(hook, eventA)}},
		{name: "there, nothing desired, claimed", held: params{subscribing(hook, eventA)}, opts: ownsAll, remove: []int{0}},
		{name: "desired and not there", desired: params{subscribing(hook, eventA)}, create: []int{0}},
		{name: "desired and there", held: params{subscribing(hook, eventA)}, desired: params{subscribing(hook, eventA)}, keep: []int{0}},
		{
			name: "the events in another order and more than once: the same",
			held: params{subscribing(hook, eventA, eventB)}, desired: params{subscribing(hook, eventB, eventA, eventB)}, keep: []int{0},
		},
		{
			name: "an event more: another, and the one there is outdated",
			held: params{subscribing(hook, eventA)}, desired: params{subscribing(hook, eventA, eventB)}, create: []int{0}, remove: []int{0},
		},
		{
			name: "an event fewer: another, and the one there is outdated",
			held: params{subscribing(hook, eventA, eventB)}, desired: params{subscribing(hook, eventA)}, create: []int{0}, remove: []int{0},
		},
		{
			name: "duplicates: the oldest stays",
			held: params{subscribing(hook, eventA, eventB), subscribing(hook, eventB, eventA), subscribing(hook, eventA, eventB)}, desired: params{subscribing(hook, eventA, eventB)},
			keep: []int{0}, remove: []int{1, 2},
		},
		{
			name: "a slash more: somebody else's",
			held: params{subscribing(hook+"/", eventA)}, desired: params{subscribing(hook, eventA)}, create: []int{0},
		},
		{
			name:    "the same desired twice, in other words: one",
			desired: params{subscribing(hook, eventA, eventB), subscribing(hook, eventB, eventA, eventA)}, create: []int{0},
		},
		{
			name: "a url desired twice with other events: two, and a third is outdated",
			held: params{subscribing(hook, eventC), subscribing(hook, eventB)}, desired: params{subscribing(hook, eventA), subscribing(hook, eventB)},
			keep: []int{1}, create: []int{0}, remove: []int{0},
		},
		{
			name: "a url desired twice with events that overlap: two, for the events of one are not a part of the other's",
			held: params{subscribing(hook, eventA, eventB)}, desired: params{subscribing(hook, eventA), subscribing(hook, eventA, eventB)},
			keep: []int{0}, create: []int{0},
		},
		{
			name: "of other urls only what is claimed",
			held: params{subscribing(hook+"/retired/1", eventA), subscribing(hook+"/other", eventA), subscribing(hook, eventA)}, desired: params{subscribing(hook, eventA)},
			opts: retired, keep: []int{2}, remove: []int{0},
		},
		{
			name: "what is desired stays, whatever is claimed",
			held: params{subscribing(hook, eventA), subscribing(hook+"/other", eventA)}, desired: params{subscribing(hook, eventA)},
			opts: ownsAll, keep: []int{0}, remove: []int{1},
		},
		{
			name: "what has a desired url is the plan's, whatever is disclaimed",
			held: params{subscribing(hook, eventB), subscribing(hook+"/other", eventA)}, desired: params{subscribing(hook, eventA)},
			opts: nothing, create: []int{0}, remove: []int{0},
		},
		{
			name: "all at once, in the order of the desired ones",
			held: params{subscribing(hook+"/4", eventA), subscribing(hook+"/2", eventA), subscribing(hook+"/1", eventB)},
			desired: params{
				subscribing(hook+"/1", eventA), subscribing(hook+"/2", eventA), subscribing(hook+"/3", eventA), subscribing(hook+"/4", eventA),
			},
			keep: []int{1, 0}, create: []int{0, 2}, remove: []int{2},
		},
	}
	for _, test := range tests {
		for order, opts := range orders {
			t.Run(test.name+"/"+order, func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, test.held, opts...)
				plan, err := account.client.PlanWebhooks(t.Context(), test.desired, test.opts)
				require.NoError(t, err)
				var create params
				for _, i := range test.create {
					create = append(create, test.desired[i])
				}
				assert.Equal(t, &facade.Plan{Keep: account.heldAt(test.keep...), Create: create, Delete: account.heldAt(test.remove...)}, plan)
				assert.Equal(t, len(test.create)+len(test.remove) == 0, plan.Empty())
				assert.Equal(t, []string{listing}, account.requests())
				assert.Equal(t, account.held, account.server.Webhooks(), "it only reads")

				done, err := account.client.ApplyPlan(t.Context(), plan)
				require.NoError(t, err)
				assert.True(t, done.Remaining.Empty())
				assert.Len(t, account.requests(), 1+len(test.create)+len(test.remove))
				again, err := account.client.PlanWebhooks(t.Context(), test.desired, test.opts)
				require.NoError(t, err)
				assert.True(t, again.Empty(), again)
				assert.Len(t, again.Keep, len(test.keep)+len(test.create))
			})
		}
	}
}

// Whoever plans for the same has to keep the same.
func TestPlanOfEquallyOld(t *testing.T) {
	t.Parallel()
	for order, opts := range orders {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			still := func() time.Time { return time.Unix(1, 0) }
			account := newAccount(t, slices.Repeat([]facade.CreateWebhookParams{validParams}, 8), append(opts, facadetest.WithClock(still))...)
			plan, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{validParams}, facade.PlanOptions{})
			require.NoError(t, err)
			require.Len(t, plan.Keep, 1)
			require.Len(t, plan.Delete, 7)
			for _, wh := range plan.Delete {
				assert.Less(t, plan.Keep[0].ID, wh.ID)
			}
		})
	}
}

// Owns is only asked where its word counts, once each.
func TestPlanAsksOwns(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{
		subscribing(hook, eventA), subscribing(hook, eventB), subscribing(hook+"/1", eventA), subscribing(hook+"/2", eventA),
	})
	var asked []*facade.Webhook
	_, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{subscribing(hook, eventA)}, facade.PlanOptions{Owns: func(wh *facade.Webhook) bool {
		asked = append(asked, wh)
		return false
	}})
	require.NoError(t, err)
	assert.Equal(t, account.heldAt(2, 3), asked)
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	for name, params := range unsound {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, nil)
			plan, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{validParams, params, validParams}, ownsAll)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorContains(t, err, "PlanWebhooks")
			require.ErrorContains(t, err, "desired webhook 2 of 3")
			assert.Nil(t, plan)
			assert.Empty(t, account.requests(), "nothing was sent")
		})
	}
}

func TestPlanWhenListingFails(t *testing.T) {
	t.Parallel()
	account := newAccount(t, nil)
	account.server.Inject(facadetest.Fault{Status: http.StatusForbidden})
	plan, err := account.client.PlanWebhooks(t.Context(), nil, facade.PlanOptions{})
	require.ErrorIs(t, err, facade.ErrForbidden)
	assert.Nil(t, plan)
}

// What the caller does with its own afterwards is nothing to the plan.
func TestPlanKeepsNothingOfTheCallers(t *testing.T) {
	t.Parallel()
	account := newAccount(t, nil)
	desired := []facade.CreateWebhookParams{subscribing(hook, eventA)}
	plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
	require.NoError(t, err)
	desired[0].Events[0], desired[0].URL = eventB, hook+"/other"
	assert.Equal(t, []facade.CreateWebhookParams{subscribing(hook, eventA)}, plan.Create)
}

// A list of two pages is scanned twice. Each change is one request.
func TestApplyPlan_oneRequestPerChange(t *testing.T) {
	t.Parallel()
	var held, desired []facade.CreateWebhookParams
	for i := range 120 {
		held = append(held, subscribing(fmt.Sprintf("%s/%d", hook, i), eventA))
		desired = append(desired, subscribing(fmt.Sprintf("%s/%d", hook, i+30), eventA))
	}
	account := newAccount(t, held, facadetest.WithWebhookLimit(0))
	plan, err := account.client.PlanWebhooks(t.Context(), desired, ownsAll)
	require.NoError(t, err)
	assert.Equal(t, []string{listing, listing, listing, listing}, account.requests())
	done, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Len(t, done.Created, 30)
	assert.Len(t, done.Deleted, 30)
	assert.Len(t, account.requests(), 4+30+30)
}

// planned has something of everything that is hard to print.
func planned() *facade.Plan {
	secret := facade.NewSecret(markedSecret)
	return &facade.Plan{
		Keep: []*facade.Webhook{{ID: "webhook_1", URL: hook, Events: []facade.EventType{eventA}, SignatureSecret: secret}},
		Create: []facade.CreateWebhookParams{
			subscribing("https://user:zq!password@hooks.example.com/b?c=d#e", eventB, eventA),
			subscribing("https://hooks.example.com/\u202eb/\u00e9", "video.\x1b[31minvented"),
		},
		Delete: []*facade.Webhook{
			{ID: "webhook_\r2", URL: "https://hooks.example.com/c\x1b[2J\nx", Events: []facade.EventType{eventA, eventC}, SignatureSecret: secret},
			{ID: "webhook_3", URL: "https://user:zq!password%@hooks.example.com/d", Events: []facade.EventType{eventA}, SignatureSecret: secret},
		},
	}
}

func TestPlanString(t *testing.T) {
	t.Parallel()
	const want = `= https://hooks.example.com/a [video.encoding.quality.completed] (webhook_1)
- https://hooks.example.com/c [2J x [video.encoding.quality.completed video.caption.generated] (webhook_ 2)
+ https://hooks.example.com/ b/é [video. [31minvented]
- …@hooks.example.com/d [video.encoding.quality.completed] (webhook_3)
+ https://user:xxxxx@hooks.example.com/b?c=d#e [video.source.recorded video.encoding.quality.completed]
2 to create, 2 to delete, 1 to keep
`
	plan := planned()
	assert.Equal(t, want, plan.String())
	assert.Equal(t, want, fmt.Sprint(plan))
	assert.Equal(t, want, fmt.Sprint(facade.Applied{Remaining: *plan}.Remaining), "as it is in Applied")
	assert.Equal(t, "0 to create, 0 to delete, 0 to keep\n", new(facade.Plan).String())
}

// What happens to a url reads together, and as a diff: what goes before what comes.
func TestPlanStringIsOrdered(t *testing.T) {
	t.Parallel()
	webhook := func(id string, p facade.CreateWebhookParams) *facade.Webhook {
		return &facade.Webhook{ID: id, URL: p.URL, Events: p.Events}
	}
	plan := &facade.Plan{
		Keep:   []*facade.Webhook{webhook("webhook_1", subscribing(hook+"/b", "kept")), webhook("webhook_2", subscribing(hook, "kept"))},
		Create: []facade.CreateWebhookParams{subscribing(hook+"/b", "new"), subscribing(hook, "new 2"), subscribing(hook, "new 1")},
		Delete: []*facade.Webhook{webhook("webhook_3", subscribing(hook+"-", "old")), webhook("webhook_4", subscribing(hook, "old")), webhook("webhook_5", subscribing(hook+"/b", "old"))},
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

func TestPlanInLogs(t *testing.T) {
	t.Parallel()
	plan := planned()
	for name, v := range map[string]any{"by pointer": plan, "by value, as it is in Applied": *plan} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
		})
	}
}

func TestPlanEmpty(t *testing.T) {
	t.Parallel()
	plan := planned()
	assert.True(t, new(facade.Plan).Empty())
	assert.True(t, (&facade.Plan{Keep: plan.Keep}).Empty(), "keeping is nothing to do")
	assert.False(t, (&facade.Plan{Create: plan.Create}).Empty())
	assert.False(t, (&facade.Plan{Delete: plan.Delete}).Empty())
}

func TestPlansPrintNoSecrets(t *testing.T) {
	t.Parallel()
	plan := planned()
	done := &facade.Applied{Created: plan.Keep, Deleted: plan.Delete, Remaining: *plan}
	for name, v := range map[string]any{"a plan": plan, "a plan by value": *plan, "what was applied": done, "what was applied, by value": *done} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := printed(v)
			encoded, err := json.Marshal(v)
			require.NoError(t, err)
			texts["JSON"] = string(encoded)
			var buf bytes.Buffer
			slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", slog.Any("v", v))
			slog.New(slog.NewTextHandler(&buf, nil)).Info("m", slog.Any("v", v))
			texts["slog"] = buf.String()
			assertNoLeak(t, texts, markedSecret)
		})
	}
}

func TestApplyCreatesBeforeItDeletes(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook, eventA), subscribing(hook+"/b", eventA), subscribing(hook+"/c", eventA)})
	plan, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{
		subscribing(hook, eventB), subscribing(hook+"/b", eventB), subscribing(hook+"/c", eventA),
	}, facade.PlanOptions{})
	require.NoError(t, err)
	done, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, []string{listing, creation, creation, deletion(account.held[0]), deletion(account.held[1])}, account.requests())

	after := account.server.Webhooks()
	require.Len(t, after, 3)
	assert.Equal(t, []*facade.Webhook{&after[1], &after[2]}, done.Created, "in the order of the plan, their secrets included")
	assert.Equal(t, account.heldAt(0, 1), done.Deleted)
	assert.Zero(t, done.DeletedEarly)
	assert.True(t, done.Remaining.Empty())
	assert.Equal(t, []*facade.Webhook{&after[0], &after[1], &after[2]}, done.Remaining.Keep)
}

// The service is known to leave out members. The secret is then asked for.
func TestApplyAsksForTheSecret(t *testing.T) {
	t.Parallel()
	const secret = "sig_sec_0000000000000000000000"
	bare := strings.Replace(webhookJSON(0), secret, "", 1)
	create := subscribing("https://hooks.example.com/apivideo/0", eventA, eventB)
	plan := &facade.Plan{Create: []facade.CreateWebhookParams{create}, Delete: []*facade.Webhook{{ID: "webhook_1"}}}
	tests := []struct {
		name    string
		get     http.HandlerFunc
		want    error
		secret  string
		deletes int
	}{
		{"and got", answer(http.StatusOK, webhookJSON(0)), nil, secret, 1},
		{"and left out again", answer(http.StatusOK, bare), nil, "", 1},
		{"and refused", answer(http.StatusForbidden, "{}"), facade.ErrForbidden, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			deletes := 0
			mux := http.NewServeMux()
			mux.HandleFunc("POST /webhooks", answer(http.StatusCreated, bare))
			mux.HandleFunc("GET /webhooks/webhook_0000000000000000000000", test.get)
			mux.HandleFunc("DELETE /webhooks/webhook_1", func(w http.ResponseWriter, _ *http.Request) {
				deletes++
				w.WriteHeader(http.StatusNoContent)
			})
			done, err := newClient(t, mux.ServeHTTP).ApplyPlan(t.Context(), plan)
			if test.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			require.Len(t, done.Created, 1, "it is there, whatever the error")
			assert.Equal(t, test.secret, done.Created[0].SignatureSecret.Reveal())
			assert.Empty(t, done.Remaining.Create)
			assert.Equal(t, test.deletes, deletes)
			assert.Len(t, done.Remaining.Delete, 1-deletes)
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	sound := &facade.Webhook{ID: "webhook_1", URL: hook, Events: []facade.EventType{eventA}}
	plans := map[string]*facade.Plan{
		"no plan":            nil,
		"nothing to keep":    {Keep: []*facade.Webhook{sound, nil}},
		"nothing to delete":  {Delete: []*facade.Webhook{sound, nil}},
		"no id to delete":    {Delete: []*facade.Webhook{sound, {URL: hook}}},
		"all webhooks":       {Delete: []*facade.Webhook{sound, {ID: "."}}},
		"a path beyond them": {Delete: []*facade.Webhook{sound, {ID: ".."}}},
		"kept and deleted":   {Keep: []*facade.Webhook{{ID: "webhook_2"}, sound}, Delete: []*facade.Webhook{{ID: "webhook_3"}, {ID: "webhook_1"}}},
		"deleted twice":      {Delete: []*facade.Webhook{sound, {ID: "webhook_2"}, {ID: "webhook_1"}}},
		"created twice":      {Create: []facade.CreateWebhookParams{subscribing(hook, eventA, eventB), validParams, subscribing(hook, eventB, eventA)}},
	}
	for name, params := range unsound {
		plans["to create: "+name] = &facade.Plan{Create: []facade.CreateWebhookParams{validParams, params}}
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, nil)
			done, err := account.client.ApplyPlan(t.Context(), plan)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorContains(t, err, "ApplyPlan")
			require.NotNil(t, done)
			if plan == nil {
				plan = new(facade.Plan)
			}
			assert.Equal(t, &facade.Applied{Remaining: *plan}, done)
			assert.Empty(t, account.requests(), "nothing was sent")
		})
	}
}

func TestApplyNothing(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{validParams})
	done, err := account.client.ApplyPlan(t.Context(), &facade.Plan{Keep: account.heldAt(0)})
	require.NoError(t, err)
	assert.Equal(t, &facade.Applied{Remaining: facade.Plan{Keep: account.heldAt(0)}}, done)
	assert.Empty(t, account.requests())
}

func TestApplyStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	desired := []facade.CreateWebhookParams{subscribing(hook+"/1", eventB), subscribing(hook+"/2", eventB), subscribing(hook+"/3", eventB)}
	faults := map[string]struct {
		fault       facadetest.Fault
		create, del error
	}{
		"refused":              {facadetest.Fault{Status: http.StatusForbidden}, facade.ErrForbidden, facade.ErrForbidden},
		"failed":               {facadetest.Fault{Status: http.StatusInternalServerError, Times: 4}, facade.ErrUnconfirmed, facade.ErrServer},
		"done, answered 500":   {facadetest.Fault{Status: http.StatusInternalServerError, Process: true}, facade.ErrUnconfirmed, nil},
		"done, answer lost":    {facadetest.Fault{Reset: facadetest.ResetAfterRead, Process: true}, facade.ErrUnconfirmed, nil},
		"lost on the way":      {facadetest.Fault{Reset: facadetest.ResetBeforeRead}, facade.ErrUnconfirmed, nil},
		"too many for a while": {facadetest.Fault{Status: http.StatusTooManyRequests}, nil, nil},
	}
	for name, f := range faults {
		for step := range 6 { // three creations and three deletions
			t.Run(fmt.Sprintf("%s/write %d", name, step+1), func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook+"/1", eventA), subscribing(hook+"/2", eventA), subscribing(hook+"/3", eventA)})
				plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
				require.NoError(t, err)
				if step > 0 {
					account.server.Inject(facadetest.Fault{Times: step}) // nothing is wrong with those before
				}
				account.server.Inject(f.fault)
				done, err := account.client.ApplyPlan(t.Context(), plan)
				want := f.create
				if step >= 3 {
					want = f.del
				}
				created, deleted := 3, 3
				if want != nil {
					require.ErrorIs(t, err, want)
					_ = asError(t, err)
					created, deleted = min(step, 3), max(step-3, 0)
				} else {
					require.NoError(t, err)
				}
				require.Len(t, done.Created, created)
				for i, wh := range done.Created {
					assert.Equal(t, desired[i], subscribing(wh.URL, wh.Events...))
					assert.False(t, wh.SignatureSecret.IsZero())
				}
				assert.Equal(t, plan.Delete[:deleted], append([]*facade.Webhook{}, done.Deleted...))
				assert.Equal(t, plan.Create[created:], done.Remaining.Create)
				assert.Equal(t, plan.Delete[deleted:], done.Remaining.Delete)
				assert.Equal(t, done.Created, done.Remaining.Keep[len(plan.Keep):])
				assert.Equal(t, want == nil, done.Remaining.Empty())
				assert.Zero(t, done.DeletedEarly)

				plan, err = account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
				require.NoError(t, err)
				_, err = account.client.ApplyPlan(t.Context(), plan)
				require.NoError(t, err)
				assert.ElementsMatch(t, desired, subscriptions(account.server.Webhooks()), "planned and applied again, it is finished")
			})
		}
	}
}

// subscriptions are what the webhooks were created from.
func subscriptions(webhooks []facade.Webhook) []facade.CreateWebhookParams {
	all := make([]facade.CreateWebhookParams, len(webhooks))
	for i, wh := range webhooks {
		all[i] = subscribing(wh.URL, wh.Events...)
	}
	return all
}

// No place has to be freed for what is refused for another reason than the limit.
func TestApplyWhenACreationIsRefused(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook, eventA)})
	plan := &facade.Plan{Create: []facade.CreateWebhookParams{subscribing(hook, eventB)}, Delete: account.heldAt(0)}
	account.server.Inject(facadetest.Fault{Status: http.StatusBadRequest})
	done, err := account.client.ApplyPlan(t.Context(), plan)
	require.ErrorIs(t, err, facade.ErrBadRequest)
	assert.Equal(t, &facade.Applied{Remaining: *plan}, done)
	assert.Equal(t, account.held, account.server.Webhooks())
}

func TestApplyWhoseContextHasEnded(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook, eventA)})
	plan := &facade.Plan{Create: []facade.CreateWebhookParams{subscribing(hook, eventB)}, Delete: account.heldAt(0)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done, err := account.client.ApplyPlan(ctx, plan)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, &facade.Applied{Remaining: *plan}, done)
	assert.Equal(t, account.held, account.server.Webhooks())
}

func TestApplyWhenOneIsGone(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook, eventA), subscribing(hook, eventB), subscribing(hook, eventC)})
	plan, err := account.client.PlanWebhooks(t.Context(), nil, ownsAll)
	require.NoError(t, err)
	require.NoError(t, account.server.Client().DeleteWebhook(t.Context(), account.held[1].ID))
	done, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, account.heldAt(0, 1, 2), done.Deleted, "it counts as deleted")
	assert.Empty(t, account.server.Webhooks())
}

// A 404 that isn't about the webhook says nothing about it.
func TestApplyTellsApartWhatIsNotFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body    string
		deleted bool
	}{
		"the webhook":                         {`{"type":"https://docs.api.video/reference/resource-not-found","title":"The requested resource was not found."}`, true},
		"the webhook, as it was written once": {`{"type":"https://docs.api.video/docs/resource-not-found/"}`, true},
		"it doesn't say what":                 {`{"title":"Not found"}`, true},
		"nothing":                             {``, true},
		"the route":                           {`{"type":"https://docs.api.video/reference/unrecognized-request-url","title":"Unrecognized request URL."}`, false},
		"something else":                      {`{"type":"about:blank"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := &facade.Plan{Delete: []*facade.Webhook{{ID: "webhook_1"}}}
			done, err := newClient(t, answer(http.StatusNotFound, test.body)).ApplyPlan(t.Context(), plan)
			if test.deleted {
				require.NoError(t, err)
				assert.Equal(t, plan.Delete, done.Deleted)
				return
			}
			require.ErrorIs(t, err, facade.ErrNotFound)
			assert.Equal(t, &facade.Applied{Remaining: *plan}, done)
		})
	}
	t.Run("the token", func(t *testing.T) {
		t.Parallel()
		plan := &facade.Plan{Delete: []*facade.Webhook{{ID: "webhook_1"}}}
		done, err := newClient(t, answer(http.StatusNotFound, ""), facade.WithTokenExchange()).ApplyPlan(t.Context(), plan)
		require.ErrorIs(t, err, facade.ErrNotFound)
		assert.Equal(t, &facade.Applied{Remaining: *plan}, done)
	})
}

// A plan is the caller's to change, and stays as it is when it is applied.
func TestApplyDoesWhatThePlanSays(t *testing.T) {
	t.Parallel()
	held := []facade.CreateWebhookParams{subscribing(hook, eventA), subscribing(hook, eventB), subscribing(hook+"/other", eventA)}
	account := newAccount(t, held, facadetest.WithWebhookLimit(3))
	plan, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{subscribing(hook, eventC)}, facade.PlanOptions{})
	require.NoError(t, err)
	plan.Keep = slices.Grow(plan.Keep, 1) // there is room to write to
	plan.Delete = plan.Delete[1:]         // the other one is to stay
	plan.Delete = append(plan.Delete, &facade.Webhook{ID: account.held[2].ID})
	plan.Create = append(plan.Create, subscribing(hook+"/more", eventA))
	before := facade.Plan{Keep: slices.Clone(plan.Keep), Create: slices.Clone(plan.Create), Delete: slices.Clone(plan.Delete)}
	_, err = account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, &before, plan)
	assert.Nil(t, plan.Keep[:1][0])
	assert.Equal(t, []facade.CreateWebhookParams{held[0], subscribing(hook, eventC), subscribing(hook+"/more", eventA)}, subscriptions(account.server.Webhooks()))
}

// At the limit places have to be freed: as many as are needed, and first those
// of webhooks whose events nobody misses.
func TestApplyAtTheLimit(t *testing.T) {
	t.Parallel()
	type params = []facade.CreateWebhookParams
	b, c, d := hook+"/b", hook+"/c", hook+"/d"
	tests := []struct {
		name          string
		limit         int
		held, desired params
		freed         []int // places among those held, in their order
		missed        bool  // whether an event is missed meanwhile, because there is no choice
		want          error
		left          int // of the desired, at the end
	}{
		{
			name: "room for all: none", limit: 4,
			held: params{subscribing(hook, eventA), subscribing(b, eventA)}, desired: params{subscribing(hook, eventB), subscribing(b, eventB)},
		},
		{
			name: "room for one of two: one", limit: 3,
			held: params{subscribing(hook, eventA), subscribing(b, eventA)}, desired: params{subscribing(hook, eventB), subscribing(b, eventB)},
			freed: []int{0},
		},
		{
			name: "no room for three, four to delete: three", limit: 4,
			held:    params{subscribing(hook, eventA), subscribing(b, eventA), subscribing(c, eventA), subscribing(hook, eventA, eventC)},
			desired: params{subscribing(hook, eventB), subscribing(b, eventB), subscribing(c, eventB)},
			freed:   []int{0, 1, 2},
		},
		{
			name: "a duplicate rather than what is replaced", limit: 3,
			held:    params{subscribing(b, eventA), subscribing(hook, eventA), subscribing(hook, eventA)},
			desired: params{subscribing(b, eventA, eventB), subscribing(hook, eventA)},
			freed:   []int{2},
		},
		{
			name: "one whose events are no longer desired rather than what is replaced", limit: 2,
			held:    params{subscribing(hook, eventA), subscribing(b, eventA)},
			desired: params{subscribing(hook, eventA, eventB), subscribing(b, eventB)},
			freed:   []int{1, 0}, // by then the other has been replaced
		},
		{
			name: "one of two that are replaced: the other has its events until then", limit: 3,
			held:    params{subscribing(c, eventC), subscribing(hook, eventA), subscribing(hook, eventA)},
			desired: params{subscribing(c, eventC, eventB), subscribing(hook, eventA, eventB)},
			freed:   []int{1, 0},
		},
		{
			name: "no choice: what the next creation replaces", limit: 3,
			held:    params{subscribing(hook, eventA), subscribing(b, eventA), subscribing(c, eventA)},
			desired: params{subscribing(c, eventA, eventB), subscribing(hook, eventA, eventB), subscribing(b, eventA)},
			freed:   []int{2, 0}, missed: true,
		},
		{
			name: "no choice: what the next creation replaces, though a later one would too", limit: 3,
			held:    params{subscribing(b, eventA), subscribing(hook, eventA), subscribing(b, eventC)},
			desired: params{subscribing(hook, eventA, eventC), subscribing(hook, eventA, eventB), subscribing(b, eventA, eventB, eventC)},
			freed:   []int{1, 0, 2}, missed: true,
		},
		{
			name: "no choice: what misses fewest", limit: 2,
			held:    params{subscribing(b, eventA, eventC), subscribing(hook, eventA)},
			desired: params{subscribing(d, eventA), subscribing(b, eventA, eventB, eventC), subscribing(hook, eventA, eventB)},
			freed:   []int{1, 0}, missed: true, want: facade.ErrWebhookLimitReached, left: 1,
		},
		{
			name: "one whose events a kept one has rather than what is replaced", limit: 3,
			held:    params{subscribing(b, eventA), subscribing(hook, eventA), subscribing(hook, eventA, eventB)},
			desired: params{subscribing(d, eventA), subscribing(b, eventA, eventC), subscribing(hook, eventA), subscribing(hook, eventA, eventC)},
			freed:   []int{2, 0}, missed: true, want: facade.ErrWebhookLimitReached, left: 1,
		},
		{
			name: "nothing to delete", limit: 1,
			held: params{subscribing(hook, eventA)}, desired: params{subscribing(hook, eventA), subscribing(hook, eventB)},
			want: facade.ErrWebhookLimitReached, left: 1,
		},
		{
			name: "more desired than there may be: what fits", limit: 2,
			held: params{subscribing(hook, eventC)}, desired: params{subscribing(hook, eventA), subscribing(b, eventA), subscribing(c, eventA), subscribing(d, eventA)},
			freed: []int{0}, want: facade.ErrWebhookLimitReached, left: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, test.held, facadetest.WithWebhookLimit(test.limit))
			plan, err := account.client.PlanWebhooks(t.Context(), test.desired, facade.PlanOptions{})
			require.NoError(t, err)

			// What was there and is desired, looked for whenever something is sent.
			watched := covered(subscriptions(account.server.Webhooks()))
			maps.DeleteFunc(watched, func(p pair, _ bool) bool { return !covered(test.desired)[p] })
			missed, transport := false, newTransport(t)
			client := account.server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				missed = missed || !holdsAll(covered(subscriptions(account.server.Webhooks())), watched)
				return transport.RoundTrip(r)
			})}))
			done, err := client.ApplyPlan(t.Context(), plan)
			refused := 0
			if test.want == nil {
				require.NoError(t, err)
				assert.ElementsMatch(t, test.desired, subscriptions(account.server.Webhooks()))
			} else {
				require.ErrorIs(t, err, test.want)
				refused++
			}
			if len(test.freed) > 0 {
				refused++ // the first that didn't fit, which is how the limit is known
			}
			assert.Equal(t, len(test.freed), done.DeletedEarly)
			assert.Equal(t, idsOf(account.heldAt(test.freed...)), idsOf(done.Deleted[:done.DeletedEarly]))
			assert.Len(t, done.Remaining.Create, test.left)
			assert.Equal(t, test.missed, missed)
			assert.Len(t, account.requests(), 1+len(done.Created)+len(done.Deleted)+refused)
		})
	}
}

// pair is an event that is notified to a url.
type pair struct {
	url   string
	event facade.EventType
}

// covered are the pairs that webhooks notify.
func covered(webhooks []facade.CreateWebhookParams) map[pair]bool {
	all := make(map[pair]bool)
	for _, p := range webhooks {
		for _, event := range p.Events {
			all[pair{p.URL, event}] = true
		}
	}
	return all
}

func holdsAll(all, some map[pair]bool) bool {
	for p := range some {
		if !all[p] {
			return false
		}
	}
	return true
}

// Those that are gone already free no place, so that another has to go.
func TestApplyAtTheLimitWhenOneIsGone(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook, eventA), subscribing(hook, eventB)}, facadetest.WithWebhookLimit(2))
	plan, err := account.client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{subscribing(hook, eventC)}, facade.PlanOptions{})
	require.NoError(t, err)
	other := account.server.Client()
	require.NoError(t, other.DeleteWebhook(t.Context(), account.held[0].ID))
	foreign, err := other.CreateWebhook(t.Context(), subscribing(hook+"/other", eventA))
	require.NoError(t, err)
	done, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, 2, done.DeletedEarly)
	assert.Equal(t, account.heldAt(0, 1), done.Deleted)
	assert.Equal(t, []facade.Webhook{*foreign, *done.Created[0]}, account.server.Webhooks())
}

func TestPlan_nilWebhook(t *testing.T) {
	t.Parallel()
	plan := facade.Plan{
		Keep:   []*facade.Webhook{nil},
		Create: []facade.CreateWebhookParams{{}, {URL: "http:user:zq!password@host"}},
		Delete: []*facade.Webhook{nil, {ID: "webhook_1"}},
	}
	text := plan.String()
	assert.Contains(t, text, "2 to create, 2 to delete, 1 to keep")
	assert.Contains(t, text, "<nil>")
	assert.NotContains(t, text, "zq!password")
	assert.NotContains(t, plan.LogValue().String(), "zq!password")
}

// A gateway responds 200 instead of 204 and 201.
func TestApplyPlan_undocumentedSuccess(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{subscribing(hook+"/1", eventA), subscribing(hook+"/2", eventA), subscribing(hook+"/3", eventA)})
	transport := newTransport(t)
	client := account.server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err == nil && resp.StatusCode < 300 {
			resp.StatusCode = http.StatusOK
		}
		return resp, err
	})}))
	plan, err := client.PlanWebhooks(t.Context(), []facade.CreateWebhookParams{subscribing(hook, eventA)}, ownsAll)
	require.NoError(t, err)
	applied, err := client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Len(t, applied.Created, 1)
	assert.Len(t, applied.Deleted, 3)
	assert.Len(t, account.server.Webhooks(), 1)
}
