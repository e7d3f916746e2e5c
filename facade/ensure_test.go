package facade_test

import (
	"context"
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

// What the tests of ensuring and planning subscribe, and to what.
const (
	hook = "https://hooks.example.com/a"

	eventA = facade.EventVideoEncodingQualityCompleted
	eventB = facade.EventVideoSourceRecorded
	eventC = facade.EventVideoCaptionGenerated
)

func subscribing(url string, events ...facade.EventType) facade.CreateWebhookParams {
	return facade.CreateWebhookParams{URL: url, Events: events}
}

// account is a fake that holds webhooks already, with a client whose exchanges
// are held against the contract.
type account struct {
	server *facadetest.Server
	client *facade.Client
	held   []facade.Webhook // at first, oldest first
	filled int              // the requests that this took
}

// newAccount returns an account that holds these. Each is a second younger than
// the one before, unless there is an option that sets another clock.
func newAccount(t *testing.T, held []facade.CreateWebhookParams, opts ...facadetest.Option) *account {
	t.Helper()
	server, client := newFake(t, append([]facadetest.Option{facadetest.WithRateLimit(0, 0), facadetest.WithClock(ticking(time.Second))}, opts...)...)
	for _, p := range held {
		_, err := server.Client().CreateWebhook(t.Context(), p)
		require.NoError(t, err)
	}
	return &account{server, client, server.Webhooks(), len(held)}
}

// requests are those since the account was filled.
func (a *account) requests() []string {
	var all []string
	for _, r := range a.server.Requests()[a.filled:] {
		all = append(all, r.Method+" "+r.Path)
	}
	return all
}

// heldAt are those that the account held at first, by their place.
func (a *account) heldAt(places ...int) []*facade.Webhook {
	var all []*facade.Webhook
	for _, i := range places {
		all = append(all, &a.held[i])
	}
	return all
}

const (
	listing  = "GET /webhooks"
	creation = "POST /webhooks"
)

func deletion(wh facade.Webhook) string { return "DELETE /webhooks/" + wh.ID }

// orders are the two that a list can come in.
var orders = map[string][]facadetest.Option{
	"oldest first": nil,
	"newest first": {facadetest.WithNewestFirst()},
}

// atTheLimit is the body of a creation that is refused for want of a place.
const atTheLimit = `{"type":"https://docs.api.video/reference/webhook-limit-reached","title":"Your account has reached the webhook urls limit.","status":400}`

func isCreation(r *http.Request) bool { return r.Method == http.MethodPost }

func TestEnsure(t *testing.T) {
	t.Parallel()
	wanted := subscribing(hook, eventA, eventB)
	tests := []struct {
		name string
		held []facade.CreateWebhookParams
		want int // its place among those held, or -1 if it is created
	}{
		{"nothing there", nil, -1},
		{"there", []facade.CreateWebhookParams{wanted}, 0},
		{"there among others", []facade.CreateWebhookParams{subscribing(hook, eventC), subscribing(hook+"/b", eventA, eventB), wanted}, 2},
		{"its events in another order", []facade.CreateWebhookParams{subscribing(hook, eventB, eventA)}, 0},
		{"its events more than once", []facade.CreateWebhookParams{subscribing(hook, eventB, eventA, eventB, eventA)}, 0},
		{"there twice: the oldest", []facade.CreateWebhookParams{subscribing(hook, eventB, eventA), wanted}, 0},
		{"an event more is another", []facade.CreateWebhookParams{subscribing(hook, eventA, eventB, eventC)}, -1},
		{"an event fewer is another", []facade.CreateWebhookParams{subscribing(hook, eventA)}, -1},
		{"two that have its events together are others", []facade.CreateWebhookParams{subscribing(hook, eventA), subscribing(hook, eventB)}, -1},
		{"a slash more is another url", []facade.CreateWebhookParams{subscribing(hook+"/", eventA, eventB)}, -1},
		{"a host in capitals is another url", []facade.CreateWebhookParams{subscribing("https://HOOKS.example.com/a", eventA, eventB)}, -1},
		{"an escape is another url", []facade.CreateWebhookParams{subscribing("https://hooks.example.com/%61", eventA, eventB)}, -1},
	}
	for _, test := range tests {
		for order, opts := range orders {
			t.Run(test.name+"/"+order, func(t *testing.T) {
				t.Parallel()
				account := newAccount(t, test.held, opts...)
				wh, created, err := account.client.EnsureWebhook(t.Context(), wanted)
				require.NoError(t, err)
				after := account.server.Webhooks()
				if test.want >= 0 {
					assert.False(t, created)
					assert.Equal(t, account.held, after, "nothing is changed")
					assert.Equal(t, &after[test.want], wh, "its secret included")
					assert.Equal(t, []string{listing}, account.requests())
					return
				}
				assert.True(t, created)
				require.Len(t, after, len(test.held)+1)
				assert.Equal(t, account.held, after[:len(test.held)], "the others are left alone")
				assert.Equal(t, &after[len(test.held)], wh, "its secret included")
				assert.Equal(t, []string{listing, creation}, account.requests())
			})
		}
	}
}

// Of duplicates as old as each other everybody has to take the same.
func TestEnsureOfEquallyOld(t *testing.T) {
	t.Parallel()
	for order, opts := range orders {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			still := func() time.Time { return time.Unix(1, 0) }
			account := newAccount(t, slices.Repeat([]facade.CreateWebhookParams{validParams}, 8), append(opts, facadetest.WithClock(still))...)
			wh, created, err := account.client.EnsureWebhook(t.Context(), validParams)
			require.NoError(t, err)
			assert.False(t, created)
			for _, held := range account.held {
				assert.LessOrEqual(t, wh.ID, held.ID)
			}
		})
	}
}

func TestEnsureRefuses(t *testing.T) {
	t.Parallel()
	for name, params := range unsound {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, nil)
			wh, created, err := account.client.EnsureWebhook(t.Context(), params)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorContains(t, err, "EnsureWebhook")
			assert.Nil(t, wh)
			assert.False(t, created)
			assert.Empty(t, account.requests(), "nothing was sent")
		})
	}
}

// unsound are parameters that can't be right, by the reason.
var unsound = map[string]facade.CreateWebhookParams{
	"no url":         {Events: []facade.EventType{eventA}},
	"a relative url": subscribing("/a", eventA),
	"another scheme": subscribing("ftp://hooks.example.com/a", eventA),
	"no events":      subscribing(hook),
	"an empty event": subscribing(hook, eventA, ""),
}

// What can go wrong once a webhook has to be created.
func TestEnsureWhenCreatingFails(t *testing.T) {
	t.Parallel()
	isListing := func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/webhooks" }
	passes := facadetest.Fault{Match: isListing} // uses the first listing up
	tests := []struct {
		name   string
		faults []facadetest.Fault
		found  bool
		want   []error
		sent   []string
	}{
		{
			"created, the answer lost: found",
			[]facadetest.Fault{{Match: isCreation, Process: true, Reset: facadetest.ResetAfterRead}},
			true, nil,
			[]string{listing, creation, listing},
		},
		{
			"created, the answer cut: found",
			[]facadetest.Fault{{Match: isCreation, Truncate: true}},
			true, nil,
			[]string{listing, creation, listing},
		},
		{
			"created, answered 500: found",
			[]facadetest.Fault{{Match: isCreation, Process: true, Status: http.StatusInternalServerError}},
			true, nil,
			[]string{listing, creation, listing},
		},
		{
			"not created, the answer lost: not found",
			[]facadetest.Fault{{Match: isCreation, Reset: facadetest.ResetAfterRead}},
			false,
			[]error{facade.ErrUnconfirmed},
			[]string{listing, creation, listing},
		},
		{
			"not created, answered 500: not found",
			[]facadetest.Fault{{Match: isCreation, Status: http.StatusInternalServerError}},
			false,
			[]error{facade.ErrUnconfirmed, facade.ErrServer},
			[]string{listing, creation, listing},
		},
		{
			"unconfirmed, and looking fails",
			[]facadetest.Fault{{Match: isCreation, Process: true, Reset: facadetest.ResetAfterRead}, passes, {Match: isListing, Status: http.StatusForbidden}},
			false,
			[]error{facade.ErrUnconfirmed, facade.ErrForbidden},
			[]string{listing, creation, listing},
		},
		{
			"at the limit, and looking fails",
			[]facadetest.Fault{{Match: isCreation, Status: http.StatusBadRequest, Body: atTheLimit}, passes, {Match: isListing, Status: http.StatusForbidden}},
			false,
			[]error{facade.ErrWebhookLimitReached, facade.ErrForbidden},
			[]string{listing, creation, listing},
		},
		{
			"refused: there is nothing to look for",
			[]facadetest.Fault{{Match: isCreation, Status: http.StatusForbidden}},
			false,
			[]error{facade.ErrForbidden},
			[]string{listing, creation},
		},
		{
			"the first look fails: nothing is created",
			[]facadetest.Fault{{Match: isListing, Status: http.StatusForbidden}},
			false,
			[]error{facade.ErrForbidden},
			[]string{listing},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, nil)
			account.server.Inject(test.faults...)
			wh, created, err := account.client.EnsureWebhook(t.Context(), validParams)
			assert.Equal(t, test.found, created)
			assert.Equal(t, test.sent, account.requests())
			if test.found {
				require.NoError(t, err)
				assert.Equal(t, []facade.Webhook{*wh}, account.server.Webhooks())
				return
			}
			assert.Nil(t, wh)
			for _, want := range test.want {
				require.ErrorIs(t, err, want)
			}
			require.ErrorIs(t, asError(t, err), test.want[0], "of two it is the creation's")
			_, _, err = account.client.EnsureWebhook(t.Context(), validParams)
			require.NoError(t, err, "calling it again is all there is to do")
			assert.Len(t, account.server.Webhooks(), 1)
		})
	}
}

func TestEnsureAtTheLimit(t *testing.T) {
	t.Parallel()
	account := newAccount(t, []facade.CreateWebhookParams{validParams}, facadetest.WithWebhookLimit(1))
	_, created, err := account.client.EnsureWebhook(t.Context(), validParams)
	require.NoError(t, err, "what is there takes no place")
	assert.False(t, created)
	_, created, err = account.client.EnsureWebhook(t.Context(), subscribing(hook, eventA))
	require.ErrorIs(t, err, facade.ErrWebhookLimitReached)
	assert.False(t, created)
	assert.Equal(t, account.held, account.server.Webhooks())
	assert.Equal(t, []string{listing, listing, creation, listing}, account.requests())
}

func TestEnsureWhoseContextEnds(t *testing.T) {
	t.Parallel()
	account := newAccount(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	transport := newTransport(t)
	client := account.server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if isCreation(r) && assert.NoError(t, err) {
			_ = resp.Body.Close()
			cancel()
			return nil, context.Canceled
		}
		return resp, err
	})}))
	wh, created, err := client.EnsureWebhook(ctx, validParams)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, facade.ErrUnconfirmed, "it has been created")
	require.ErrorContains(t, err, "looking for the webhook failed")
	assert.Nil(t, wh)
	assert.False(t, created)
	assert.Equal(t, []string{listing, creation}, account.requests())
}

// Another caller's webhook is as good. It can't be told from one's own, unless it
// is certain that nothing was created.
func TestEnsureFindsWhatAnotherCreated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limit   int
		created bool
	}{
		"the creation is unconfirmed":          {0, true},
		"the other's has taken the last place": {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := newAccount(t, nil, facadetest.WithWebhookLimit(test.limit))
			transport := newTransport(t)
			client := account.server.Client(facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if isCreation(r) {
					_, err := account.server.Client().CreateWebhook(t.Context(), validParams)
					require.NoError(t, err)
					if test.limit == 0 {
						_, _ = io.Copy(io.Discard, r.Body)
						return nil, io.ErrUnexpectedEOF
					}
				}
				return transport.RoundTrip(r)
			})}))
			wh, created, err := client.EnsureWebhook(t.Context(), validParams)
			require.NoError(t, err)
			assert.Equal(t, test.created, created)
			assert.Equal(t, []facade.Webhook{*wh}, account.server.Webhooks())
		})
	}
}

// The service is known to leave out members. The secret is then asked for.
func TestEnsureAsksForTheSecret(t *testing.T) {
	t.Parallel()
	const secret = `,"signatureSecret":"sig_sec_0000000000000000000000"`
	full := webhookJSON(0)
	bare := strings.Replace(full, secret, "", 1)
	onlySecret := `{"webhookId":"webhook_0000000000000000000000"` + secret + `}`
	params := subscribing("https://hooks.example.com/apivideo/0", eventA, eventB)
	lists := map[string]http.HandlerFunc{
		"found":   answer(http.StatusOK, strings.Replace(listJSON(1, 100, 1), secret, "", 1)),
		"created": answer(http.StatusOK, listJSON(1, 100, 0)),
	}
	tests := []struct {
		name   string
		get    http.HandlerFunc
		want   error
		secret string
	}{
		{"and got", answer(http.StatusOK, full), nil, "sig_sec_0000000000000000000000"},
		{"and got with nothing else, so that the rest stays", answer(http.StatusOK, onlySecret), nil, "sig_sec_0000000000000000000000"},
		{"and left out again", answer(http.StatusOK, bare), nil, ""},
		{"and refused", answer(http.StatusForbidden, "{}"), facade.ErrForbidden, ""},
		{"and the webhook is gone by then", answer(http.StatusNotFound, "{}"), facade.ErrNotFound, ""},
	}
	for _, test := range tests {
		for which, list := range lists {
			t.Run(test.name+"/"+which, func(t *testing.T) {
				t.Parallel()
				mux := http.NewServeMux()
				mux.HandleFunc("GET /webhooks", list)
				mux.HandleFunc("POST /webhooks", answer(http.StatusCreated, bare))
				mux.HandleFunc("GET /webhooks/webhook_0000000000000000000000", test.get)
				wh, created, err := newClient(t, mux.ServeHTTP).EnsureWebhook(t.Context(), params)
				if test.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, test.want)
					assert.Equal(t, "GetWebhook", asError(t, err).Op)
				}
				require.NotNil(t, wh, "it is there, whatever the error")
				assert.Equal(t, which == "created", created)
				assert.Equal(t, "webhook_0000000000000000000000", wh.ID)
				assert.Equal(t, params, subscribing(wh.URL, wh.Events...))
				assert.Equal(t, test.secret, wh.SignatureSecret.Reveal())
			})
		}
	}
}

// What a creation's answer says of the webhook, for one that was to have
// wantedByAnswer: the members after the id, and whether they are as good as that.
var (
	wantedByAnswer = subscribing(hook, eventA, eventB)

	answersToCreation = map[string]struct {
		members string
		isGood  bool
	}{
		"all of it":                   {`"url":"` + hook + `","events":["video.encoding.quality.completed","video.source.recorded"]`, true},
		"the events in another order": {`"url":"` + hook + `","events":["video.source.recorded","video.encoding.quality.completed"]`, true},
		"no url":                      {`"events":["video.encoding.quality.completed","video.source.recorded"]`, true},
		"no events":                   {`"url":"` + hook + `"`, true},
		"no more than its id":         {`"createdAt":"2024-08-08T14:12:18+00:00"`, true},
		"a slash more":                {`"url":"` + hook + `/","events":["video.encoding.quality.completed","video.source.recorded"]`, false},
		"a slash more, and no events": {`"url":"` + hook + `/"`, false},
		"an event fewer":              {`"url":"` + hook + `","events":["video.encoding.quality.completed"]`, false},
		"another event, and no url":   {`"events":["video.encoding.quality.completed","video.caption.generated"]`, false},
		"another url with a password": {`"url":"https://user:zq!password@hooks.example.com/a","events":["video.encoding.quality.completed","video.source.recorded"]`, false},
	}
)

// assertAnswered checks what became of an answer to a creation.
func assertAnswered(t *testing.T, isGood bool, wh *facade.Webhook, err error) {
	t.Helper()
	assert.Equal(t, "webhook_0000000000000000000000", wh.ID)
	if isGood {
		require.NoError(t, err)
		assert.Equal(t, same(wantedByAnswer), same(subscribing(wh.URL, wh.Events...)))
		assert.NotSame(t, &wantedByAnswer.Events[0], &wh.Events[0], "the caller's own stay so")
		assert.Equal(t, "sig_sec_0000000000000000000000", wh.SignatureSecret.Reveal())
		return
	}
	require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
	require.NotErrorIs(t, err, facade.ErrUnconfirmed, "it was created")
	require.ErrorContains(t, err, hook+" [video.encoding.quality.completed video.source.recorded]", "it says what was sent")
	require.NotContains(t, err.Error(), "password")
	e := asError(t, err)
	assert.Equal(t, []any{"CreateWebhook", http.StatusCreated, 1}, []any{e.Op, e.StatusCode, e.Attempts})
	assert.NotEqual(t, same(wantedByAnswer), same(subscribing(wh.URL, wh.Events...)), "it is what the service has")
}

// creationAnswered answers a creation with these members, the secret for one
// that is asked for, and is an account without webhooks otherwise.
func creationAnswered(members string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /webhooks", answer(http.StatusOK, listJSON(1, 100, 0)))
	mux.HandleFunc("POST /webhooks", answer(http.StatusCreated, `{"webhookId":"webhook_0000000000000000000000",`+members+`}`))
	mux.HandleFunc("GET /webhooks/webhook_0000000000000000000000", answer(http.StatusOK, webhookJSON(0)))
	return mux
}

// A service that stores something else would otherwise be given another webhook
// at each run.
func TestEnsureAndApplyNoticeWhatIsStored(t *testing.T) {
	t.Parallel()
	for name, test := range answersToCreation {
		t.Run("ensure/"+name, func(t *testing.T) {
			t.Parallel()
			wh, created, err := newClient(t, creationAnswered(test.members).ServeHTTP).EnsureWebhook(t.Context(), wantedByAnswer)
			require.NotNil(t, wh, err)
			assert.True(t, created)
			assertAnswered(t, test.isGood, wh, err)
		})
		t.Run("apply/"+name, func(t *testing.T) {
			t.Parallel()
			plan := &facade.Plan{Create: []facade.CreateWebhookParams{wantedByAnswer}}
			if !test.isGood {
				plan.Create = append(plan.Create, validParams) // what isn't come to
			}
			done, err := newClient(t, creationAnswered(test.members).ServeHTTP).ApplyPlan(t.Context(), plan)
			require.Len(t, done.Created, 1)
			assert.Equal(t, done.Created, done.Remaining.Keep)
			assert.Equal(t, plan.Create[1:], done.Remaining.Create)
			assertAnswered(t, test.isGood, done.Created[0], err)
		})
	}
}

// The service writes a time with a fraction of a second in one answer and without
// it in the next, which must not make another one of the oldest.
func TestEnsureGoesByWholeSeconds(t *testing.T) {
	t.Parallel()
	both := strings.ReplaceAll(listJSON(1, 100, 2), "/apivideo/1", "/apivideo/0")
	params := subscribing("https://hooks.example.com/apivideo/0", eventA, eventB)
	const written = "2024-08-08T14:12:18+00:00"
	for name, test := range map[string]struct{ first, second, want string }{
		"both without":                    {written, written, "webhook_0000000000000000000000"},
		"the first with":                  {"2024-08-08T14:12:18.9+00:00", written, "webhook_0000000000000000000000"},
		"the second with":                 {written, "2024-08-08T14:12:18.5+00:00", "webhook_0000000000000000000000"},
		"both with":                       {"2024-08-08T14:12:18.9+00:00", "2024-08-08T14:12:18.5+00:00", "webhook_0000000000000000000000"},
		"in another second":               {"2024-08-08T14:12:18.1+00:00", "2024-08-08T14:12:17.9+00:00", "webhook_0000000000000000000001"},
		"in another second, another zone": {written, "2024-08-08T16:12:17+02:00", "webhook_0000000000000000000001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := strings.Replace(both, written, test.first, 1)
			at := strings.LastIndex(list, written)
			if test.second != written {
				list = list[:at] + test.second + list[at+len(written):]
			}
			wh, _, err := newClient(t, answer(http.StatusOK, list)).EnsureWebhook(t.Context(), params)
			require.NoError(t, err)
			assert.Equal(t, test.want, wh.ID)
		})
	}
}

// What can't be compared must not be taken for something else.
func TestEnsureAndPlanNeedWhatIsCompared(t *testing.T) {
	t.Parallel()
	lists := map[string]string{
		"no url":        strings.Replace(listJSON(1, 100, 2), `"url":"https://hooks.example.com/apivideo/1",`, "", 1),
		"an empty url":  strings.Replace(listJSON(1, 100, 2), "https://hooks.example.com/apivideo/1", "", 1),
		"no events":     strings.Replace(listJSON(1, 100, 2), `"events":["video.encoding.quality.completed","video.source.recorded"],`, "", 1),
		"empty events":  strings.Replace(listJSON(1, 100, 2), `"video.encoding.quality.completed","video.source.recorded"`, "", 1),
		"events: null":  strings.Replace(listJSON(1, 100, 2), `["video.encoding.quality.completed","video.source.recorded"]`, "null", 1),
		"an empty item": strings.Replace(listJSON(1, 100, 2), webhookJSON(1), `{"webhookId":"webhook_0000000000000000000001"}`, 1),
	}
	calls := map[string]func(context.Context, *facade.Client) error{
		"ensure": func(ctx context.Context, c *facade.Client) error {
			_, _, err := c.EnsureWebhook(ctx, validParams)
			return err
		},
		"plan": func(ctx context.Context, c *facade.Client) error {
			_, err := c.PlanWebhooks(ctx, []facade.CreateWebhookParams{validParams}, facade.PlanOptions{})
			return err
		},
	}
	for name, list := range lists {
		for which, call := range calls {
			t.Run(name+"/"+which, func(t *testing.T) {
				t.Parallel()
				server := play(answer(http.StatusOK, list))
				err := call(t.Context(), newClient(t, server.ServeHTTP))
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				require.ErrorContains(t, err, `"webhook_000000000000000000000`, "it says which")
				e := asError(t, err)
				assert.Equal(t, []any{"ListWebhooks", http.StatusOK, 1}, []any{e.Op, e.StatusCode, e.Attempts})
				assert.Equal(t, 1, server.requests(), "nothing was created")
			})
		}
	}
}

// ticking is a clock that goes on by step, or back, each time it is looked at.
func ticking(step time.Duration) func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return time.Unix(1_000_000_000, 0).Add(time.Duration(ticks.Add(1)) * step) }
}
