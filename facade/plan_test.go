package facade_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func ownsAll(*facade.Webhook) bool        { return true }
func ownsNone(*facade.Webhook) bool       { return false }
func ownsRetired(wh *facade.Webhook) bool { return strings.HasPrefix(wh.URL, hooks+"retired/") }

// reconcileTests are accounts and desired webhooks, in the notation of parse.
var reconcileTests = []struct {
	name, held, desired  string
	owns                 func(*facade.Webhook) bool
	keep, create, remove []int // indexes of held, desired and held
}{
	{"nothing", "", "", nil, nil, nil, nil},
	{"none desired", "a:A", "", nil, nil, nil, nil},
	{"none desired, all owned", "a:A", "", ownsAll, nil, nil, []int{0}},
	{"none held", "", "a:A", nil, nil, []int{0}, nil},
	{"equal", "a:A", "a:A", nil, []int{0}, nil, nil},
	{"events in another order", "a:AB", "a:BAB", nil, []int{0}, nil, nil},
	{"repeated events", "a:BAB", "a:AB", nil, []int{0}, nil, nil},
	{"one event more", "a:A", "a:AB", nil, nil, []int{0}, []int{0}},
	{"one event fewer", "a:AB", "a:A", nil, nil, []int{0}, []int{0}},
	{"events in two webhooks", "a:A a:B", "a:AB", nil, nil, []int{0}, []int{0, 1}},
	{"duplicates", "a:AB a:BA a:AB", "a:AB", nil, []int{0}, nil, []int{1, 2}},
	{"among others", "a:C b:AB a:AB", "a:AB", nil, []int{2}, nil, []int{0}},
	{"URL with a slash", "a/:A", "a:A", nil, nil, []int{0}, nil},
	{"URL in upper case", "A:A", "a:A", nil, nil, []int{0}, nil},
	{"escaped URL", "%61:A", "a:A", nil, nil, []int{0}, nil},
	{"desired twice", "", "a:AB a:BAA", nil, nil, []int{0}, nil},
	{"URL with different events", "a:C a:B", "a:A a:B", nil, []int{1}, []int{0}, []int{0}},
	{"URL with overlapping events", "a:AB", "a:A a:AB", nil, []int{0}, []int{0}, nil},
	{"other URLs, some owned", "retired/1:A b:A a:A", "a:A", ownsRetired, []int{2}, nil, []int{0}},
	{"other URLs, all owned", "a:A b:A", "a:A", ownsAll, []int{0}, nil, []int{1}},
	{"desired URL, none owned", "a:B b:A", "a:A", ownsNone, nil, []int{0}, []int{0}},
	{"order of the desired webhooks", "4:A 2:A 1:B", "1:A 2:A 3:A 4:A", nil, []int{1, 0}, []int{0, 2}, []int{2}},
}

func TestPlanWebhooks(t *testing.T) {
	t.Parallel()
	for _, test := range reconcileTests {
		for order, opts := range sortOrders {
			name, desired := test.name+", "+order, parse(test.desired)
			account := newAccount(t, parse(test.held), opts...)
			plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{Owns: test.owns})
			require.NoError(t, err)
			want := facade.Plan{Keep: at(account.held, test.keep), Create: at(desired, test.create), Delete: at(account.held, test.remove)}
			assert.Equal(t, &want, plan, name)
			assert.Equal(t, test.create == nil && test.remove == nil, plan.Empty(), name)
			assert.Equal(t, []string{listRequest}, account.calls(), name)
		}
	}
}

func TestPlanWebhooks_arguments(t *testing.T) {
	t.Parallel()
	account := newAccount(t, parse("a:A a:B b:A c:A"))
	var asked []*facade.Webhook
	desired := parse("a:C")
	plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{Owns: func(wh *facade.Webhook) bool {
		asked = append(asked, wh)
		return false
	}})
	require.NoError(t, err)
	assert.Equal(t, account.held[2:], asked, "Owns is called for other URLs only")
	desired[0].Events[0], desired[0].URL = eventB, hooks+"other"
	assert.Equal(t, parse("a:C"), plan.Create, "the plan has copies")
}

// newPlan returns a plan with secrets, passwords and control characters.
func newPlan() *facade.Plan {
	webhook := func(id, path string, events ...facade.EventType) *facade.Webhook {
		return &facade.Webhook{ID: id, URL: hooks + path, Events: events, SignatureSecret: facade.NewSecret(markedSecret)}
	}
	malformed := webhook("webhook_4", "", "old")
	malformed.URL = "https://user:zq!password%@hooks.example.com/d"
	return &facade.Plan{
		Keep: []*facade.Webhook{webhook("webhook_1", "b", "kept"), nil, webhook("webhook_2", "a", "kept")},
		Create: paramsList{
			newCreation("https://user:zq!password@hooks.example.com/b?c=d#e", eventB, eventA),
			newCreation(hooks+"\u202eb/\u00e9", "video.\x1b[31minvented"),
			newCreation(hooks+"a", "new 2"),
			newCreation(hooks+"a", "new 1"),
		},
		Delete: []*facade.Webhook{
			webhook("webhook_\r3", "c\x1b[2J\nx", "old", eventA), malformed,
			webhook("webhook_5", "a-", "old"), webhook("webhook_6", "a", "old"), nil,
		},
	}
}

func TestPlan_String(t *testing.T) {
	t.Parallel()
	const want = `- <nil>
= <nil>
- https://hooks.example.com/a [old] (webhook_6)
+ https://hooks.example.com/a [new 2]
+ https://hooks.example.com/a [new 1]
= https://hooks.example.com/a [kept] (webhook_2)
- https://hooks.example.com/a- [old] (webhook_5)
= https://hooks.example.com/b [kept] (webhook_1)
- https://hooks.example.com/c [2J x [old video.encoding.quality.completed] (webhook_ 3)
+ https://hooks.example.com/ b/é [video. [31minvented]
- …@hooks.example.com/d [old] (webhook_4)
+ https://user:xxxxx@hooks.example.com/b?c=d#e [video.source.recorded video.encoding.quality.completed]
4 to create, 5 to delete, 3 to keep
`
	plan := newPlan()
	assert.Equal(t, want, fmt.Sprint(plan))
	assert.Equal(t, want, fmt.Sprint(facade.Applied{Remaining: *plan}.Remaining))
	assert.Equal(t, "0 to create, 0 to delete, 0 to keep\n", new(facade.Plan).String())
	assert.True(t, facade.Plan{Keep: plan.Keep}.Empty())
	assert.False(t, facade.Plan{Create: plan.Create}.Empty())
	assert.False(t, facade.Plan{Delete: plan.Delete}.Empty())
}

func TestPlan_LogValue(t *testing.T) {
	t.Parallel()
	plan := newPlan()
	for _, v := range []any{plan, *plan} {
		assert.JSONEq(t, `{
			"create": [
				"https://user:xxxxx@hooks.example.com/b?c=d#e [video.source.recorded video.encoding.quality.completed]",
				"https://hooks.example.com/ b/é [video. [31minvented]",
				"https://hooks.example.com/a [new 2]",
				"https://hooks.example.com/a [new 1]"
			],
			"delete": [
				"https://hooks.example.com/c [2J x [old video.encoding.quality.completed] (webhook_ 3)",
				"…@hooks.example.com/d [old] (webhook_4)",
				"https://hooks.example.com/a- [old] (webhook_5)",
				"https://hooks.example.com/a [old] (webhook_6)",
				"<nil>"
			],
			"keep": 3
		}`, logJSON(t, v))
	}
}

func TestApplyPlan_invalidPlan(t *testing.T) {
	t.Parallel()
	wh, other := &facade.Webhook{ID: "webhook_1"}, &facade.Webhook{ID: "webhook_2"}
	redacted := newCreation("https://user:password@h/", eventA)
	for want, plan := range map[string]*facade.Plan{
		"the plan is nil":                             nil,
		"a webhook of the plan is nil":                {Keep: []*facade.Webhook{wh, nil}},
		"ApplyPlan: invalid argument: a webhook of":   {Delete: []*facade.Webhook{wh, nil}},
		"the webhook ID is empty":                     {Delete: []*facade.Webhook{wh, {URL: hooks}}},
		`the webhook ID "." is invalid`:               {Delete: []*facade.Webhook{wh, {ID: "."}}},
		`the webhook ID ".." is invalid`:              {Delete: []*facade.Webhook{wh, {ID: ".."}}},
		`deletes webhook "webhook_1", and keeps`:      {Keep: []*facade.Webhook{other, wh}, Delete: []*facade.Webhook{{ID: "webhook_1"}}},
		`keeps or deletes it a second time`:           {Delete: []*facade.Webhook{wh, other, {ID: "webhook_1"}}},
		"the plan creates https://user:xxxxx@h/ [vid": {Create: paramsList{redacted, validParams, redacted}},
		"creates https://hooks.example.com/a [":       {Create: parse("a:AB b:A a:BA")},
		"no events are given":                         {Create: parse("a:A a:")},
	} {
		server := newScript(succeed)
		applied, err := newClient(t, server.ServeHTTP).ApplyPlan(t.Context(), plan)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, want)
		require.ErrorContains(t, err, "ApplyPlan")
		require.ErrorContains(t, err, want)
		if plan == nil {
			plan = new(facade.Plan)
		}
		assert.Equal(t, &facade.Applied{Remaining: *plan}, applied, want)
		assert.Zero(t, server.requests(), want)
	}
}

func TestApplyPlan_stopsAtFirstError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault          facadetest.Fault
		create, remove error
	}{
		{facadetest.Fault{Status: 403}, facade.ErrForbidden, facade.ErrForbidden},
		{facadetest.Fault{Status: 400}, facade.ErrBadRequest, facade.ErrBadRequest},
		{facadetest.Fault{Status: 500, Times: 4}, facade.ErrUnconfirmed, facade.ErrServer},
		{facadetest.Fault{Status: 500, Process: true}, facade.ErrUnconfirmed, nil},
		{facadetest.Fault{Reset: facadetest.ResetAfterRead, Process: true}, facade.ErrUnconfirmed, nil},
		{facadetest.Fault{Reset: facadetest.ResetBeforeRead}, facade.ErrUnconfirmed, nil},
		{facadetest.Fault{Status: 429}, nil, nil},
	} {
		for step := range 6 { // three creates and three deletes
			name, desired := fmt.Sprint(test.fault, step), parse("a:B b:B c:B")
			account := newAccount(t, parse("a:A b:A c:A"))
			plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
			require.NoError(t, err)
			if step > 0 {
				account.Inject(facadetest.Fault{Times: step}) // for the writes before
			}
			account.Inject(test.fault)
			applied, err := account.client.ApplyPlan(t.Context(), plan)
			want := test.create
			if step >= 3 {
				want = test.remove
			}
			created, deleted := 3, 3
			if want != nil {
				created, deleted = min(step, 3), max(step-3, 0)
			}
			require.ErrorIs(t, err, want, name)
			require.Len(t, applied.Created, created, name)
			remaining := facade.Plan{Keep: applied.Created, Create: plan.Create[created:], Delete: plan.Delete[deleted:]}
			assert.Equal(t, remaining, applied.Remaining, name)
			assert.Equal(t, plan.Delete[:deleted], append([]*facade.Webhook{}, applied.Deleted...), name)
			assert.Zero(t, applied.DeletedEarly, name)
			for i, wh := range applied.Created {
				assert.Equal(t, desired[i].URL, wh.URL, name)
				assert.False(t, wh.SignatureSecret.IsZero())
			}
		}
	}
}

// A webhook that does not exist counts as deleted, but not after a 404 of another kind.
func TestApplyPlan_404(t *testing.T) {
	t.Parallel()
	const tokenRequest = "token request"
	plan := &facade.Plan{Delete: []*facade.Webhook{{ID: "webhook_1"}}}
	for body, isDeleted := range map[string]bool{
		`{"type":"https://docs.api.video/docs/resource-not-found/"}`: true,
		`{"title":"Not found"}`: true,
		``:                      true,
		`{"type":"https://docs.api.video/reference/unrecognized-request-url"}`: false,
		`{"type":"about:blank"}`: false,
		tokenRequest:             false,
	} {
		var opts []facade.Option
		if body == tokenRequest {
			opts = append(opts, facade.WithTokenExchange())
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

// The caller may change a plan. ApplyPlan does not.
func TestApplyPlan_changedPlan(t *testing.T) {
	t.Parallel()
	account := newAccount(t, parse("a:A a:B b:A"), facadetest.WithWebhookLimit(3))
	plan, err := account.client.PlanWebhooks(t.Context(), parse("a:C"), facade.PlanOptions{})
	require.NoError(t, err)
	plan.Keep = make([]*facade.Webhook, 0, 1)
	plan.Delete = append(plan.Delete[1:], &facade.Webhook{ID: account.ids[2]})
	plan.Create = append(plan.Create, parse("c:A")...)
	before := facade.Plan{Keep: plan.Keep, Create: slices.Clone(plan.Create), Delete: slices.Clone(plan.Delete)}
	_, err = account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, &before, plan)
	assert.Nil(t, plan.Keep[:1][0])
	assert.Equal(t, "a:A a:C c:A", account.String())
}

// A full account. ApplyPlan deletes as few webhooks early as possible, first webhooks
// whose events are not missed.
func TestApplyPlan_fullAccount(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		limit         int
		held, desired string
		early         []int // indexes of held, in the order of the deletes
		isMissed      bool  // an event is missed meanwhile
		left          int   // of the desired webhooks
	}{
		{"room for all", 4, "a:A b:A", "a:B b:B", nil, false, 0},
		{"room for one of two", 3, "a:A b:A", "a:B b:B", []int{0}, false, 0},
		{"no room for three of four", 4, "a:A b:A c:A a:AC", "a:B b:B c:B", []int{0, 1, 2}, false, 0},
		{"duplicate before a replaced webhook", 3, "b:A a:A a:AA", "b:AB a:A", []int{2}, false, 0},
		{"undesired events before a replaced webhook", 2, "a:A b:A", "a:AB b:B", []int{1, 0}, false, 0}, // a is replaced by then
		{"two replaced webhooks with equal events", 3, "c:C a:A a:AA", "c:CB a:AB", []int{1, 0}, false, 0},
		{"webhook that the next create replaces", 3, "a:A b:A c:A", "c:AB a:AB b:A", []int{2, 0}, true, 0},
		{"webhook that the next create and a later one replace", 3, "b:A a:A b:C", "a:AC a:AB b:ABC", []int{1, 0, 2}, true, 0},
		{"fewest missed events", 2, "b:AC a:A", "d:A b:ABC a:AB", []int{1, 0}, true, 1},
		{"events of a kept webhook before a replaced webhook", 3, "b:A a:A a:AB", "d:A b:AC a:A a:AC", []int{2, 0}, true, 1},
		{"none to delete", 1, "a:A", "a:A a:B", nil, false, 1},
		{"more desired than the limit", 2, "a:C", "a:A b:A c:A d:A", []int{0}, false, 2},
	}
	for _, test := range tests {
		desired := parse(test.desired)
		account := newAccount(t, parse(test.held), facadetest.WithWebhookLimit(test.limit))
		plan, err := account.client.PlanWebhooks(t.Context(), desired, facade.PlanOptions{})
		require.NoError(t, err)
		watched, isMissed := account.notifies(desired), false
		client := account.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
			isMissed = isMissed || !containsAll(account.notifies(desired), watched)
			return serve(account, r)
		}))
		applied, err := client.ApplyPlan(t.Context(), plan)
		refused := min(1, len(test.early)) // the create that shows that the account is full
		if test.left > 0 {
			require.ErrorIs(t, err, facade.ErrWebhookLimitReached, test.name)
			refused++
		} else {
			require.NoError(t, err, test.name)
			assert.Equal(t, format(desired), account.String(), test.name)
		}
		assert.Equal(t, len(test.early), applied.DeletedEarly, test.name)
		assert.Equal(t, idsOf(at(account.held, test.early)), idsOf(applied.Deleted[:applied.DeletedEarly]), test.name)
		assert.Len(t, applied.Remaining.Create, test.left, test.name)
		assert.Equal(t, test.isMissed, isMissed, test.name)
		assert.Len(t, account.calls(), 1+len(applied.Created)+len(applied.Deleted)+refused, test.name)
	}
}

// A webhook that does not exist frees no place, and another webhook is deleted.
func TestApplyPlan_fullAccountAnd404(t *testing.T) {
	t.Parallel()
	account := newAccount(t, parse("a:A a:B"), facadetest.WithWebhookLimit(2))
	plan, err := account.client.PlanWebhooks(t.Context(), parse("a:C"), facade.PlanOptions{})
	require.NoError(t, err)
	require.NoError(t, account.client.DeleteWebhook(t.Context(), account.ids[0]))
	_, err = account.client.CreateWebhook(t.Context(), parse("b:A")[0])
	require.NoError(t, err)
	applied, err := account.client.ApplyPlan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, 2, applied.DeletedEarly)
	assert.Equal(t, account.held, applied.Deleted)
	assert.Equal(t, "a:C b:A", account.String())
}
