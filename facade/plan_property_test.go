package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// world is an account whose webhooks several appliers bring to the same desired
// ones. Their requests are answered one at a time, in an order that the test
// picks, and after each one the account is looked at.
type world struct {
	t       *testing.T
	server  *facadetest.Server
	limit   int
	desired []facade.CreateWebhookParams
	owns    func(url string) bool // besides those of desired urls; may be nil
	policy  facade.RetryPolicy

	pick  func(n int) int                              // whose turn of so many it is
	fault func(*http.Request) (facadetest.Fault, bool) // what goes wrong with a request, if anything

	foreign  map[string]bool // ids of what nobody may touch
	ours     map[string]bool // ids of what there was besides
	covered  map[pair]bool   // what was notified and is desired
	full     bool            // something had to be created when there was no place
	requests []string        // for whoever has to find out what happened
}

// newWorld returns a world that begins with these webhooks.
func newWorld(t *testing.T, w world, held []facade.CreateWebhookParams, opts ...facadetest.Option) *world {
	t.Helper()
	w.t = t
	w.server = facadetest.NewServer(append(opts, facadetest.WithRateLimit(0, 0), facadetest.WithWebhookLimit(w.limit))...)
	t.Cleanup(w.server.Close)
	filler := w.client(func(r *http.Request) (*http.Response, error) { return serve(w.server, r) })
	w.foreign, w.ours = make(map[string]bool), make(map[string]bool)
	for _, p := range held {
		wh, err := filler.CreateWebhook(t.Context(), p)
		require.NoError(t, err)
		if w.owned(wh.URL) {
			w.ours[wh.ID] = true
		} else {
			w.foreign[wh.ID] = true
		}
	}
	w.covered = w.coveredNow()
	return &w
}

func (w *world) client(transport roundTripper) *facade.Client {
	return w.server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}), facade.WithRetry(w.policy))
}

// serve has the fake answer without a socket.
func serve(server *facadetest.Server, r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch p := recover(); {
		case p == http.ErrAbortHandler: //nolint:errorlint // a panic's value isn't wrapped
			resp, err = nil, io.ErrUnexpectedEOF // the connection broke
		case p != nil:
			panic(p)
		}
	}()
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (w *world) owned(url string) bool {
	isDesired := slices.ContainsFunc(w.desired, func(p facade.CreateWebhookParams) bool { return p.URL == url })
	return isDesired || w.owns != nil && w.owns(url)
}

func (w *world) coveredNow() map[pair]bool {
	desired, now := covered(w.desired), covered(subscriptions(w.server.Webhooks()))
	for p := range now {
		if !desired[p] {
			delete(now, p)
		}
	}
	return now
}

// step is a request that waits for its turn.
type step struct {
	applier int
	request *http.Request
	answer  chan<- answered
}

type answered struct {
	resp *http.Response
	err  error
}

// run has appliers at work at once, until all are done.
func (w *world) run(appliers ...func(*facade.Client)) {
	steps, done := make(chan step), make(chan struct{})
	for i, apply := range appliers {
		client := w.client(func(r *http.Request) (*http.Response, error) {
			answer := make(chan answered)
			steps <- step{i, r, answer}
			a := <-answer
			return a.resp, a.err
		})
		go func() {
			defer func() { done <- struct{}{} }()
			apply(client)
		}()
	}
	var waiting []step
	for running := len(appliers); ; {
		for len(waiting) < running { // all come to a request, or to their end
			select {
			case s := <-steps:
				waiting = append(waiting, s)
			case <-done:
				running--
			}
		}
		if running == 0 {
			return
		}
		slices.SortFunc(waiting, func(a, b step) int { return a.applier - b.applier })
		i := w.pick(running)
		s := waiting[i]
		waiting = slices.Delete(waiting, i, i+1)
		s.answer <- w.take(s)
	}
}

// take answers a request and looks at what it did.
func (w *world) take(s step) answered {
	isFull := w.limit > 0 && len(w.server.Webhooks()) >= w.limit
	w.full = w.full || isFull && s.request.Method == http.MethodPost
	if fault, ok := w.fault(s.request); ok {
		w.server.Inject(fault)
	}
	resp, err := serve(w.server, s.request)
	status := "broken"
	if err == nil {
		status = strconv.Itoa(resp.StatusCode)
	}
	w.requests = append(w.requests, fmt.Sprintf("%d: %s %s: %s", s.applier, s.request.Method, s.request.URL.Path, status))

	foreign := 0
	for _, wh := range w.server.Webhooks() {
		switch {
		case w.foreign[wh.ID]:
			foreign++
		case !w.ours[wh.ID]:
			assert.True(w.t, w.isDesired(wh), "nobody asked for %v\n%s", wh, w)
		}
	}
	assert.Len(w.t, w.foreign, foreign, "somebody else's was deleted\n%s", w)
	now := w.coveredNow()
	if !w.full {
		assert.True(w.t, holdsAll(now, w.covered), "an event is missed\n%s", w)
	}
	w.covered = now
	return answered{resp, err}
}

// String tells what happened until now.
func (w *world) String() string {
	return fmt.Sprintf("desired: %v\nlimit: %d\n%s\nheld: %v", w.desired, w.limit, strings.Join(w.requests, "\n"), subscriptions(w.server.Webhooks()))
}

// same is what is equal of parameters that describe the same webhook.
func same(p facade.CreateWebhookParams) string {
	events := slices.Clone(p.Events)
	slices.Sort(events)
	return fmt.Sprint(p.URL, slices.Compact(events))
}

func (w *world) isDesired(wh facade.Webhook) bool {
	return slices.ContainsFunc(w.desired, func(p facade.CreateWebhookParams) bool {
		return same(p) == same(subscribing(wh.URL, wh.Events...))
	})
}

// isThere reports whether the account holds each desired webhook once, and
// nothing else but what is foreign.
func (w *world) isThere() bool {
	var want, got []string
	for _, p := range w.desired {
		want = append(want, same(p))
	}
	for _, wh := range w.server.Webhooks() {
		if !w.foreign[wh.ID] {
			got = append(got, same(subscribing(wh.URL, wh.Events...)))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	return slices.Equal(slices.Compact(want), got)
}

// fits reports whether the account can hold all that is desired.
func (w *world) fits() bool {
	different := make(map[string]bool)
	for _, p := range w.desired {
		different[same(p)] = true
	}
	return w.limit == 0 || len(different)+len(w.foreign) <= w.limit
}

// planAndApply is one run of an applier. The plan is nil if it couldn't be made.
func (w *world) planAndApply(ctx context.Context, client *facade.Client) (*facade.Plan, *facade.Applied, error) {
	var opts facade.PlanOptions
	if w.owns != nil {
		opts.Owns = func(wh *facade.Webhook) bool { return w.owns(wh.URL) }
	}
	plan, err := client.PlanWebhooks(ctx, w.desired, opts)
	if err != nil {
		return nil, nil, err
	}
	done, err := client.ApplyPlan(ctx, plan)
	assert.Equal(w.t, err == nil, done.Remaining.Empty(), "what is left is why there is an error: %v", err)
	created := slices.Concat(subscriptionsOf(done.Created), done.Remaining.Create)
	assert.Equal(w.t, plan.Create, created, "what is created and left is what was planned")
	deleted := idsOf(slices.Concat(done.Deleted, done.Remaining.Delete))
	assert.ElementsMatch(w.t, idsOf(plan.Delete), deleted, "what is deleted and left is what was planned")
	for _, wh := range done.Created {
		assert.False(w.t, wh.SignatureSecret.IsZero())
	}
	return plan, done, err
}

func subscriptionsOf(webhooks []*facade.Webhook) []facade.CreateWebhookParams {
	var all []facade.CreateWebhookParams
	for _, wh := range webhooks {
		all = append(all, subscribing(wh.URL, wh.Events...))
	}
	return all
}

func faultless(*http.Request) (facadetest.Fault, bool) { return facadetest.Fault{}, false }

// settle lets one applier after the other run alone, without faults. The first
// finishes the work, and the second has nothing to do.
func (w *world) settle() {
	w.fault = faultless
	w.full = false
	held, before := len(w.server.Webhooks()), len(w.requests)
	w.run(func(client *facade.Client) {
		plan, done, err := w.planAndApply(w.t.Context(), client)
		if !w.fits() {
			assert.ErrorIs(w.t, err, facade.ErrWebhookLimitReached)
			return
		}
		if !assert.NoError(w.t, err, w) {
			return
		}
		freed, refused := 0, 0
		if w.limit > 0 {
			freed = max(0, held+len(plan.Create)-w.limit)
			refused = min(1, freed)
		}
		assert.Equal(w.t, freed, done.DeletedEarly, "as many places as it needs\n%s", w)
		assert.Equal(w.t, 1+len(plan.Create)+len(plan.Delete)+refused, len(w.requests)-before, "a listing, and a request for each change\n%s", w)
		assert.True(w.t, w.isThere(), "one run that is left alone is enough\n%s", w)
	})
	before = len(w.requests)
	w.run(func(client *facade.Client) {
		plan, _, err := w.planAndApply(w.t.Context(), client)
		if w.fits() && assert.NoError(w.t, err) {
			assert.True(w.t, plan.Empty(), "%s\n%s", plan, w)
			assert.Equal(w.t, 1, len(w.requests)-before)
		}
	})
}

// Whatever there is and whatever goes wrong, one run that is left alone leaves
// what is desired; nothing else is touched on the way, and as long as there is
// room no event is missed. A case is its seed, but for the ids of webhooks, which
// only matter to those that are equally old.
func TestApplyProperty(t *testing.T) {
	t.Parallel()
	const cases = 1000
	var met tally
	t.Cleanup(func() { t.Logf("of %d cases: %s", cases, &met) })
	for seed := range uint64(cases) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			w, faulty := newRandomWorld(t, random)
			runs := 1 + random.IntN(2)
			apply := func(client *facade.Client) {
				for range runs {
					_, _, err := w.planAndApply(t.Context(), client)
					var e *facade.Error
					assert.True(t, err == nil || errors.As(err, &e), err)
				}
			}
			appliers := []func(*facade.Client){apply, apply}[:1+random.IntN(2)]
			w.run(appliers...)
			met.add(w, len(appliers), faulty)
			if w.limit == 0 && *faulty == 0 {
				met.further.Add(1)
				w.fault, runs = faultless, 1
				w.run(apply, apply)
				assert.True(t, w.isThere(), "a further run each is enough, at once\n%s", w)
			}
			w.settle()
		})
	}
}

// tally counts what the cases met, for whoever doubts that it is enough.
type tally struct{ requests, broken, two, full, unfit, further atomic.Int64 }

func (c *tally) add(w *world, appliers int, faults *int) {
	c.requests.Add(int64(len(w.requests)))
	for counter, met := range map[*atomic.Int64]bool{&c.broken: *faults > 0, &c.two: appliers == 2, &c.full: w.full, &c.unfit: !w.fits()} {
		if met {
			counter.Add(1)
		}
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("%d with faults, %d with two appliers, %d at the limit, %d where not all that is desired fits, %d with a further run each at once; %d requests before the further runs",
		c.broken.Load(), c.two.Load(), c.full.Load(), c.unfit.Load(), c.further.Load(), c.requests.Load())
}

// newRandomWorld returns a world and where it counts its faults.
func newRandomWorld(t *testing.T, random *rand.Rand) (*world, *int) {
	t.Helper()
	const retired = "https://hooks.example.com/retired/"
	urls := []string{hook, "https://hooks.example.com/b", retired + "c"}
	others := []string{hook + "/", retired + "d", "https://example.org"}
	events := []facade.EventType{eventA, eventB, eventC}
	some := func(most int, urls []string) []facade.CreateWebhookParams {
		all := make([]facade.CreateWebhookParams, random.IntN(most+1))
		for i := range all {
			all[i].URL = urls[random.IntN(len(urls))]
			for range 1 + random.IntN(4) {
				all[i].Events = append(all[i].Events, events[random.IntN(len(events))])
			}
		}
		return all
	}
	w := world{
		desired: some(4, urls),
		pick:    random.IntN,
		policy:  facade.RetryPolicy{MaxAttempts: 1 + random.IntN(3), MinDelay: 1, MaxDelay: 1},
	}
	if random.IntN(2) == 0 {
		w.owns = func(url string) bool { return strings.HasPrefix(url, retired) }
	}
	held := some(6, slices.Concat(urls, others))
	if random.IntN(2) == 0 {
		w.limit = max(1, len(held)+random.IntN(3))
	}
	faults, one := new(int), []int{0, 4, 10}[random.IntN(3)] // in so many requests
	w.fault = func(r *http.Request) (facadetest.Fault, bool) {
		if one == 0 || random.IntN(one) > 0 {
			return facadetest.Fault{}, false
		}
		*faults++
		return anyFault(random, r), true
	}
	// Webhooks may also be as old as each other, or seem to be made in the past.
	clock := ticking([]time.Duration{time.Second, 0, -time.Second}[random.IntN(3)])
	opts := []facadetest.Option{facadetest.WithClock(clock)}
	if random.IntN(2) == 0 {
		opts = append(opts, facadetest.WithNewestFirst())
	}
	return newWorld(t, w, held, opts...), faults
}

// anyFault is one that the request may meet.
func anyFault(random *rand.Rand, r *http.Request) facadetest.Fault {
	statuses := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	all := []facadetest.Fault{
		{Reset: facadetest.ResetBeforeRead},
		{Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetAfterRead, Process: true},
		{Status: http.StatusInternalServerError, Process: true},
		{Status: http.StatusRequestTimeout, Process: true},
		{Status: statuses[random.IntN(len(statuses))]},
	}
	if r.Method != http.MethodDelete {
		all = append(all, facadetest.Fault{Truncate: true}, facadetest.Fault{Body: "<html>"}, facadetest.Fault{Body: "{}"})
	}
	return all[random.IntN(len(all))]
}

// Two appliers at once, in every order that their requests can come in. As long
// as there is room a further run each is enough, whether it begins when the other
// has ended its first or not; both are tried where that takes few requests. At the
// limit, where one may be short of a place, the further runs come one by one.
func TestApplyInEveryOrder(t *testing.T) {
	t.Parallel()
	type params = []facade.CreateWebhookParams
	b, other := hook+"/b", hook+"/other"
	tests := []struct {
		name          string
		held, desired params
		limit         int
		runs          int
		further       bool // a run each, at once, when both have ended theirs
	}{
		{"a new one", nil, params{subscribing(hook, eventA)}, 0, 2, false},
		{"one with an event more", params{subscribing(hook, eventA)}, params{subscribing(hook, eventA, eventB)}, 0, 2, false},
		{"duplicates", params{subscribing(hook, eventA), subscribing(hook, eventA), subscribing(hook, eventA)}, params{subscribing(hook, eventA)}, 0, 2, false},
		{"two outdated become one", params{subscribing(hook, eventA), subscribing(hook, eventB)}, params{subscribing(hook, eventA, eventB)}, 0, 1, true},
		{"one becomes two", params{subscribing(hook, eventA, eventB)}, params{subscribing(hook, eventA), subscribing(hook, eventB)}, 0, 1, true},
		{"two new and two outdated", params{subscribing(hook, eventA), subscribing(b, eventA)}, params{subscribing(hook, eventB), subscribing(b, eventB)}, 0, 1, false},
		{"at the limit, one outdated", params{subscribing(hook, eventA), subscribing(other, eventA)}, params{subscribing(hook, eventA, eventB)}, 2, 1, false},
		{"at the limit, two outdated become one", params{subscribing(hook, eventA), subscribing(hook, eventB)}, params{subscribing(hook, eventA, eventB)}, 2, 1, false},
	}
	for _, test := range tests {
		for name, tick := range map[string]time.Duration{"clock goes on": time.Second, "clock goes back": -time.Second} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				orders := 0
				for order := new(order); order.next(); orders++ {
					w := newWorld(t, world{
						desired: test.desired, limit: test.limit, pick: order.pick, policy: facade.RetryPolicy{MaxAttempts: 1}, fault: faultless,
					}, test.held, facadetest.WithClock(ticking(tick)))
					apply := func(client *facade.Client) {
						for range test.runs {
							_, _, err := w.planAndApply(t.Context(), client)
							assert.True(t, err == nil || test.limit > 0 && errors.Is(err, facade.ErrWebhookLimitReached), err)
						}
					}
					w.run(apply, apply)
					if test.further {
						w.run(apply, apply)
					}
					if test.further || test.runs == 2 {
						assert.True(t, w.isThere(), "a further run each is enough\n%s", w)
					}
					w.pick = func(int) int { return 0 }
					w.settle()
					w.server.Close()
					require.False(t, t.Failed(), "the first that fails says enough")
				}
				t.Logf("%d orders", orders)
			})
		}
	}
}

// order picks in every way, one after the other: as an odometer does, whose last
// wheel turns first. Its first wheel stands still: the appliers are alike, so
// that it makes no difference who begins.
type order struct {
	wheels []wheel
	at     int
	begun  bool
}

type wheel struct{ picked, of int }

func (o *order) pick(n int) int {
	if o.at == len(o.wheels) {
		o.wheels = append(o.wheels, wheel{0, n})
	}
	o.at++
	return o.wheels[o.at-1].picked
}

// next turns to the next way, and reports whether there is one.
func (o *order) next() bool {
	o.at = 0
	if !o.begun {
		o.begun = true
		return true
	}
	for len(o.wheels) > 1 {
		last := &o.wheels[len(o.wheels)-1]
		if last.picked++; last.picked < last.of {
			return true
		}
		o.wheels = o.wheels[:len(o.wheels)-1]
	}
	return false
}
