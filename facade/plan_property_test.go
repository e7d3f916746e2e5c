package facade_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// A simulation is an account on which concurrent programs plan and apply the same desired
// webhooks. The test selects the order of the requests. The account is checked after each
// request.
type simulation struct {
	t       *testing.T
	server  *facadetest.Server
	limit   int
	desired paramsList
	owns    func(url string) bool // beside the desired URLs; may be nil
	policy  facade.RetryPolicy

	pick  func(n int) int                              // selects the next of n programs
	fault func(*http.Request) (facadetest.Fault, bool) // of a request

	foreign  map[string]bool       // IDs that must not change
	initial  map[string]bool       // the other IDs at first
	received map[notification]bool // desired notifications before the last request
	isFull   bool                  // a create was sent to a full account
	requests []string              // for messages
}

// newSimulation returns s with webhooks.
func newSimulation(t *testing.T, s simulation, held paramsList, opts ...facadetest.Option) *simulation {
	t.Helper()
	s.t = t
	s.server = facadetest.NewServer(append(opts, facadetest.WithRateLimit(0, 0), facadetest.WithWebhookLimit(s.limit))...)
	t.Cleanup(s.server.Close)
	client := s.client(inMemory(s.server))
	s.foreign, s.initial = make(map[string]bool), make(map[string]bool)
	for _, p := range held {
		wh, err := client.CreateWebhook(t.Context(), p)
		require.NoError(t, err)
		isDesired := slices.ContainsFunc(s.desired, func(p facade.CreateWebhookParams) bool { return p.URL == wh.URL })
		if isDesired || s.owns != nil && s.owns(wh.URL) {
			s.initial[wh.ID] = true
		} else {
			s.foreign[wh.ID] = true
		}
	}
	s.received = s.desiredNotifications()
	return &s
}

func (s *simulation) client(transport roundTripper) *facade.Client {
	return s.server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}), facade.WithRetry(s.policy))
}

// desiredNotifications returns the desired notifications that webhooks of the account
// have.
func (s *simulation) desiredNotifications() map[notification]bool {
	desired, now := notifications(s.desired), notified(s.server)
	maps.DeleteFunc(now, func(n notification, _ bool) bool { return !desired[n] })
	return now
}

// A pendingRequest waits for a turn.
type pendingRequest struct {
	program int
	request *http.Request
	result  chan<- result
}

type result struct {
	resp *http.Response
	err  error
}

// run runs programs concurrently until all of them return.
func (s *simulation) run(programs ...func(*facade.Client)) {
	requests, done := make(chan pendingRequest), make(chan struct{})
	for i, program := range programs {
		client := s.client(func(r *http.Request) (*http.Response, error) {
			c := make(chan result)
			requests <- pendingRequest{i, r, c}
			result := <-c
			return result.resp, result.err
		})
		go func() {
			defer func() { done <- struct{}{} }()
			program(client)
		}()
	}
	var pending []pendingRequest
	for running := len(programs); ; {
		for len(pending) < running {
			select {
			case p := <-requests:
				pending = append(pending, p)
			case <-done:
				running--
			}
		}
		if running == 0 {
			return
		}
		slices.SortFunc(pending, func(a, b pendingRequest) int { return a.program - b.program })
		i := s.pick(running)
		p := pending[i]
		pending = slices.Delete(pending, i, i+1)
		p.result <- s.serve(p)
	}
}

// serve serves a request and checks the account.
func (s *simulation) serve(p pendingRequest) result {
	isFull := s.limit > 0 && len(s.server.Webhooks()) >= s.limit
	s.isFull = s.isFull || isFull && isCreate(p.request)
	if fault, ok := s.fault(p.request); ok {
		s.server.Inject(fault)
	}
	resp, err := serve(s.server, p.request)
	status := "lost"
	if err == nil {
		status = strconv.Itoa(resp.StatusCode)
	}
	s.requests = append(s.requests, fmt.Sprintf("%d: %s %s: %s", p.program, p.request.Method, p.request.URL.Path, status))
	foreign := 0
	for _, wh := range s.server.Webhooks() {
		switch {
		case s.foreign[wh.ID]:
			foreign++
		case !s.initial[wh.ID]:
			isDesired := slices.ContainsFunc(s.desired, func(p facade.CreateWebhookParams) bool {
				return normalize(p) == normalize(newParams(wh.URL, wh.Events...))
			})
			assert.True(s.t, isDesired, "%v is not desired\n%s", wh, s)
		}
	}
	assert.Len(s.t, s.foreign, foreign, "a foreign webhook was deleted\n%s", s)
	now := s.desiredNotifications()
	if !s.isFull {
		assert.True(s.t, containsAll(now, s.received), "an event is missed\n%s", s)
	}
	s.received = now
	return result{resp, err}
}

// String describes the account and the requests, for messages.
func (s *simulation) String() string {
	return fmt.Sprintf("desired: %v\nlimit: %d\n%s\nheld: %v", s.desired, s.limit, strings.Join(s.requests, "\n"), paramsOf(s.server.Webhooks()))
}

// isReached reports whether the account has each desired webhook once, beside foreign
// webhooks.
func (s *simulation) isReached() bool {
	var got []string
	for _, wh := range s.server.Webhooks() {
		if !s.foreign[wh.ID] {
			got = append(got, normalize(newParams(wh.URL, wh.Events...)))
		}
	}
	slices.Sort(got)
	return slices.Equal(s.normalized(), got)
}

// normalized returns the distinct desired webhooks.
func (s *simulation) normalized() []string {
	var all []string
	for _, p := range s.desired {
		all = append(all, normalize(p))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// fits reports whether the limit allows all desired webhooks.
func (s *simulation) fits() bool {
	return s.limit == 0 || len(s.normalized())+len(s.foreign) <= s.limit
}

// planAndApply runs a program once. The plan is nil if the list fails.
func (s *simulation) planAndApply(ctx context.Context, client *facade.Client) (*facade.Plan, *facade.Applied, error) {
	var opts facade.PlanOptions
	if s.owns != nil {
		opts.Owns = func(wh *facade.Webhook) bool { return s.owns(wh.URL) }
	}
	plan, err := client.PlanWebhooks(ctx, s.desired, opts)
	if err != nil {
		return nil, nil, err
	}
	applied, err := client.ApplyPlan(ctx, plan)
	assert.Equal(s.t, err == nil, applied.Remaining.Empty(), err)
	var created paramsList
	for _, wh := range applied.Created {
		assert.False(s.t, wh.SignatureSecret.IsZero())
		created = append(created, newParams(wh.URL, wh.Events...))
	}
	assert.Equal(s.t, plan.Create, append(created, applied.Remaining.Create...), "created or remaining")
	deleted := idsOf(slices.Concat(applied.Deleted, applied.Remaining.Delete))
	assert.ElementsMatch(s.t, idsOf(plan.Delete), deleted, "deleted or remaining")
	return plan, applied, err
}

func withoutFaults(*http.Request) (facadetest.Fault, bool) { return facadetest.Fault{}, false }

// finish runs two programs in sequence, without faults. The first program reaches the
// desired webhooks, and the second program has no changes.
func (s *simulation) finish() {
	s.fault = withoutFaults
	s.isFull = false
	held, before := len(s.server.Webhooks()), len(s.requests)
	s.run(func(client *facade.Client) {
		plan, applied, err := s.planAndApply(s.t.Context(), client)
		if !s.fits() {
			assert.ErrorIs(s.t, err, facade.ErrWebhookLimitReached)
			return
		}
		if !assert.NoError(s.t, err, s) {
			return
		}
		early, refused := 0, 0
		if s.limit > 0 {
			early = max(0, held+len(plan.Create)-s.limit)
			refused = min(1, early)
		}
		assert.Equal(s.t, early, applied.DeletedEarly, "as few as possible\n%s", s)
		assert.Equal(s.t, 1+len(plan.Create)+len(plan.Delete)+refused, len(s.requests)-before, "one list, and one request for each change\n%s", s)
		assert.True(s.t, s.isReached(), "after a single run\n%s", s)
	})
	before = len(s.requests)
	s.run(func(client *facade.Client) {
		plan, _, err := s.planAndApply(s.t.Context(), client)
		if s.fits() && assert.NoError(s.t, err) {
			assert.True(s.t, plan.Empty(), "%s\n%s", plan, s)
			assert.Equal(s.t, 1, len(s.requests)-before)
		}
	})
}

// Random accounts, faults and orders of requests. A single run without faults reaches the
// desired webhooks. Foreign webhooks stay, and no event is missed if there is room.
func TestApplyPlan_randomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		if raceEnabled && seed%25 != 0 {
			continue
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			s, faults := newRandomSimulation(t, random)
			runs := 1 + random.IntN(2)
			program := func(client *facade.Client) {
				for range runs {
					_, _, err := s.planAndApply(t.Context(), client)
					var e *facade.Error
					assert.True(t, err == nil || errors.As(err, &e), err)
				}
			}
			s.run([]func(*facade.Client){program, program}[:1+random.IntN(2)]...)
			if s.limit == 0 && *faults == 0 {
				s.fault, runs = withoutFaults, 1
				s.run(program, program)
				assert.True(t, s.isReached(), "after a second, concurrent run of each program\n%s", s)
			}
			s.finish()
		})
	}
}

// newRandomSimulation returns a simulation and the number of faults.
func newRandomSimulation(t *testing.T, random *rand.Rand) (*simulation, *int) {
	t.Helper()
	const retired = "https://hooks.example.com/retired/"
	urls := []string{hook, "https://hooks.example.com/b", retired + "c"}
	others := []string{hook + "/", retired + "d", "https://example.org"}
	events := []facade.EventType{eventA, eventB, eventC}
	some := func(most int, urls []string) paramsList {
		all := make(paramsList, random.IntN(most+1))
		for i := range all {
			all[i].URL = urls[random.IntN(len(urls))]
			for range 1 + random.IntN(4) {
				all[i].Events = append(all[i].Events, events[random.IntN(len(events))])
			}
		}
		return all
	}
	s := simulation{
		desired: some(4, urls),
		pick:    random.IntN,
		policy:  facade.RetryPolicy{MaxAttempts: 1 + random.IntN(3), MinDelay: 1, MaxDelay: 1},
	}
	if random.IntN(2) == 0 {
		s.owns = func(url string) bool { return strings.HasPrefix(url, retired) }
	}
	held := some(6, slices.Concat(urls, others))
	if random.IntN(2) == 0 {
		s.limit = max(1, len(held)+random.IntN(3))
	}
	faults, interval := new(int), []int{0, 4, 10}[random.IntN(3)]
	s.fault = func(r *http.Request) (facadetest.Fault, bool) {
		if interval == 0 || random.IntN(interval) > 0 {
			return facadetest.Fault{}, false
		}
		*faults++
		return randomFault(random, r), true
	}
	// Webhooks may be equally old, or the clock may go back.
	opts := []facadetest.Option{facadetest.WithClock(newClock([]time.Duration{time.Second, 0, -time.Second}[random.IntN(3)]))}
	if random.IntN(2) == 0 {
		opts = append(opts, facadetest.WithNewestFirst())
	}
	return newSimulation(t, s, held, opts...), faults
}

func randomFault(random *rand.Rand, r *http.Request) facadetest.Fault {
	statuses := []int{400, 401, 403, 404, 408, 429, 500, 503}
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

// Two concurrent programs, in every order of their requests. If there is room, a second
// run of each program reaches the desired webhooks, also before the first run of the other
// program ends. In a full account the second runs follow in sequence.
func TestApplyPlan_everyOrder(t *testing.T) {
	t.Parallel()
	a, ab := newParams(hook, eventA), newParams(hook, eventA, eventB)
	b, c := newParams(hook, eventB), newParams(hook+"/b", eventA)
	tests := []struct {
		name          string
		held, desired paramsList
		limit         int
		runs          int  // of each program
		isSecond      bool // a second, concurrent run follows
	}{
		{"create", nil, paramsList{a}, 0, 2, false},
		{"replace", paramsList{a}, paramsList{ab}, 0, 2, false},
		{"delete duplicates", paramsList{a, a, a}, paramsList{a}, 0, 2, false},
		{"replace two by one", paramsList{a, b}, paramsList{ab}, 0, 1, true},
		{"replace one by two", paramsList{ab}, paramsList{a, b}, 0, 1, true},
		{"replace two", paramsList{a, c}, paramsList{b, newParams(hook+"/b", eventB)}, 0, 1, false},
		{"full account, replace one", paramsList{a, newParams(hook+"/other", eventA)}, paramsList{ab}, 2, 1, false},
		{"full account, replace two by one", paramsList{a, b}, paramsList{ab}, 2, 1, false},
	}
	orders := everyOrder
	if raceEnabled {
		orders = randomOrders
	}
	for _, test := range tests {
		for name, step := range map[string]time.Duration{"clock goes on": time.Second, "clock goes back": -time.Second} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				n := 0
				for pick := range orders {
					n++
					s := newSimulation(t, simulation{
						desired: test.desired, limit: test.limit, pick: pick, policy: facade.RetryPolicy{MaxAttempts: 1}, fault: withoutFaults,
					}, test.held, facadetest.WithClock(newClock(step)))
					program := func(client *facade.Client) {
						for range test.runs {
							_, _, err := s.planAndApply(t.Context(), client)
							assert.True(t, err == nil || test.limit > 0 && errors.Is(err, facade.ErrWebhookLimitReached), err)
						}
					}
					s.run(program, program)
					if test.isSecond {
						s.run(program, program)
					}
					if test.isSecond || test.runs == 2 {
						assert.True(t, s.isReached(), "after a second run of each program\n%s", s)
					}
					s.pick = func(int) int { return 0 }
					s.finish()
					s.server.Close()
					require.False(t, t.Failed())
				}
				t.Logf("%d orders", n)
			})
		}
	}
}

// everyOrder yields a function for each possible series of picks. The first pick is always
// the same, because the programs are equal.
func everyOrder(yield func(pick func(n int) int) bool) {
	var picks, limits []int
	for {
		at := 0
		pick := func(n int) int {
			if at == len(picks) {
				picks, limits = append(picks, 0), append(limits, n)
			}
			at++
			return picks[at-1]
		}
		if !yield(pick) {
			return
		}
		for last := len(picks) - 1; ; last-- {
			if last < 1 {
				return
			}
			picks, limits = picks[:last+1], limits[:last+1]
			if picks[last]++; picks[last] < limits[last] {
				break
			}
		}
	}
}

// randomOrders yields functions that pick at random.
func randomOrders(yield func(pick func(n int) int) bool) {
	random := rand.New(rand.NewPCG(1, 0))
	for range 4 {
		if !yield(random.IntN) {
			return
		}
	}
}
