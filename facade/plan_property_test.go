package facade_test

import (
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
// webhooks. The account is checked after each request.
type simulation struct {
	t *testing.T
	*account
	desired paramsList
	limit   int                                    // of the account, or 0
	owned   string                                 // beginning of the URLs that the programs own, or ""
	retry   facade.Option                          // of the programs
	pick    func(n int) int                        // selects one of n programs for the next request
	fault   func(*http.Request) []facadetest.Fault // of a request, or nil

	foreign  int             // webhooks that do not belong to the programs and must not change
	received map[string]bool // desired notifications before the last request
	isFull   bool            // a create was sent to the full account
	requests []string        // for messages
}

// start fills the account.
func (s *simulation) start(held paramsList, opts ...facadetest.Option) {
	s.account = newAccount(s.t, held, append(opts, facadetest.WithWebhookLimit(s.limit))...)
	s.foreign, s.received = len(s.foreignWebhooks()), s.notifies(s.desired)
}

func (s *simulation) owns(wh *facade.Webhook) bool {
	return s.owned != "" && strings.HasPrefix(wh.URL, s.owned)
}

// foreignWebhooks returns the webhooks that the programs do not own, in the notation of parse.
func (s *simulation) foreignWebhooks() []string {
	isTheirs := func(wh facade.Webhook) bool {
		return s.owns(&wh) || slices.ContainsFunc(s.desired, func(p facade.CreateWebhookParams) bool { return p.URL == wh.URL })
	}
	return strings.Fields(formatWebhooks(slices.DeleteFunc(s.Webhooks(), isTheirs)))
}

// reached returns the account with each desired webhook once, beside the foreign webhooks.
func (s *simulation) reached() string {
	all := slices.Compact(strings.Fields(format(s.desired)))
	return strings.Join(slices.Sorted(slices.Values(append(all, s.foreignWebhooks()...))), " ")
}

// run runs programs concurrently until all of them return. One request is served at a time.
func (s *simulation) run(programs ...func(*facade.Client)) {
	type report struct {
		program int
		turn    chan struct{} // of the next request, or nil after the last request
	}
	reports := make(chan report)
	for i, program := range programs {
		client := s.clientWith(roundTripper(func(r *http.Request) (*http.Response, error) {
			turn := make(chan struct{})
			reports <- report{i, turn}
			<-turn
			return s.serve(i, r)
		}), s.retry)
		go func() {
			program(client)
			reports <- report{program: i}
		}()
	}
	turns := make(map[int]chan struct{}) // of the running programs
	for missing := len(programs); ; missing = 1 {
		for range missing {
			r := <-reports
			if turns[r.program] = r.turn; r.turn == nil {
				delete(turns, r.program)
			}
		}
		if len(turns) == 0 {
			return
		}
		running := slices.Sorted(maps.Keys(turns))
		close(turns[running[s.pick(len(running))]])
	}
}

// serve serves a request and checks the account.
func (s *simulation) serve(program int, r *http.Request) (*http.Response, error) {
	s.isFull = s.isFull || s.limit > 0 && len(s.Webhooks()) >= s.limit && isCreate(r)
	if s.fault != nil {
		s.Inject(s.fault(r)...)
	}
	resp, err := serve(s, r)
	status := "lost"
	if err == nil {
		status = resp.Status
	}
	s.requests = append(s.requests, fmt.Sprintf("%d: %s %s: %s", program, r.Method, r.URL.Path, status))
	assert.Len(s.t, s.foreignWebhooks(), s.foreign, "a foreign webhook was deleted\n%s", s)
	now := s.notifies(s.desired)
	assert.True(s.t, s.isFull || containsAll(now, s.received), "an event is missed\n%s", s)
	s.received = now
	return resp, err
}

// String describes the account and the requests, for messages.
func (s *simulation) String() string {
	return fmt.Sprintf("desired: %s\nlimit: %d\n%s\nheld: %s", format(s.desired), s.limit, strings.Join(s.requests, "\n"), s.account)
}

// planAndApply is a program. The plan is nil if the list fails.
func (s *simulation) planAndApply(client *facade.Client) (*facade.Plan, *facade.Applied, error) {
	plan, err := client.PlanWebhooks(s.t.Context(), s.desired, facade.PlanOptions{Owns: s.owns})
	if err != nil {
		return nil, nil, err
	}
	applied, err := client.ApplyPlan(s.t.Context(), plan)
	assert.Equal(s.t, err == nil, applied.Remaining.Empty(), err)
	created := slices.Clone(applied.Remaining.Create)
	for _, wh := range applied.Created {
		assert.False(s.t, wh.SignatureSecret.IsZero())
		created = append(created, newCreation(wh.URL, wh.Events...))
	}
	assert.ElementsMatch(s.t, plan.Create, created, "created or remaining")
	assert.ElementsMatch(s.t, plan.Delete, slices.Concat(applied.Deleted, applied.Remaining.Delete), "deleted or remaining")
	return plan, applied, err
}

// finish runs two programs in sequence, without faults. The first program reaches the
// desired webhooks, and the second program has no changes.
func (s *simulation) finish() {
	s.fault, s.isFull, s.requests = nil, false, nil
	fits := s.limit == 0 || len(strings.Fields(s.reached())) <= s.limit
	held := len(s.Webhooks())
	s.run(func(client *facade.Client) {
		plan, applied, err := s.planAndApply(client)
		if !fits {
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
		assert.Equal(s.t, early, applied.DeletedEarly, "as few as possible")
		assert.Len(s.t, s.requests, 1+len(plan.Create)+len(plan.Delete)+refused, "one list, and one request for each change")
		assert.Equal(s.t, s.reached(), s.account.String(), s)
	})
	s.requests = nil
	s.run(func(client *facade.Client) {
		plan, _, err := s.planAndApply(client)
		if fits && assert.NoError(s.t, err) {
			assert.True(s.t, plan.Empty(), s)
			assert.Len(s.t, s.requests, 1)
		}
	})
}

// Random accounts, faults and orders of requests. A single run without faults reaches the
// desired webhooks. Foreign webhooks stay, and no event is missed if there is room.
func TestApplyPlan_randomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		if raceEnabled && seed%10 != 0 {
			continue
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			simulateFaults(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func simulateFaults(t *testing.T, random *rand.Rand) {
	t.Helper()
	some := func(most int, paths []string) paramsList {
		all := make([]string, random.IntN(most+1))
		for i := range all {
			all[i] = paths[random.IntN(len(paths))] + ":"
			for range 1 + random.IntN(4) {
				all[i] += string("ABC"[random.IntN(3)])
			}
		}
		return parse(strings.Join(all, " "))
	}
	paths := []string{"a", "b", "retired/c"}
	s := simulation{t: t, desired: some(4, paths), pick: random.IntN, owned: []string{"", hooks + "retired/"}[random.IntN(2)]}
	s.retry = facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1 + random.IntN(3), MinDelay: 1, MaxDelay: 1})
	held := some(6, append(paths, "a/", "retired/d", "other"))
	if random.IntN(2) == 0 {
		s.limit = max(1, len(held)+random.IntN(3))
	}
	faults, interval := 0, []int{0, 4, 10}[random.IntN(3)]
	s.fault = func(r *http.Request) []facadetest.Fault {
		if interval == 0 || random.IntN(interval) > 0 {
			return nil
		}
		faults++
		return randomFault(random, r)
	}
	// Webhooks may be equally old, or the clock may go back.
	opts := []facadetest.Option{facadetest.WithClock(newClock([]time.Duration{time.Second, 0, -time.Second}[random.IntN(3)]))}
	if random.IntN(2) == 0 {
		opts = append(opts, facadetest.WithNewestFirst())
	}
	s.start(held, opts...)
	runs := 1 + random.IntN(2)
	program := func(client *facade.Client) {
		for range runs {
			_, _, err := s.planAndApply(client)
			var e *facade.Error
			assert.True(t, err == nil || errors.As(err, &e), err)
		}
	}
	s.run([]func(*facade.Client){program, program}[:1+random.IntN(2)]...)
	if s.limit == 0 && faults == 0 {
		interval, runs = 0, 1
		s.run(program, program)
		assert.Equal(t, s.reached(), s.account.String(), "after a second, concurrent run of each program\n%s", &s)
	}
	s.finish()
}

func randomFault(random *rand.Rand, r *http.Request) []facadetest.Fault {
	statuses := []int{400, 401, 403, 404, 408, 429, 500, 503}
	all := []facadetest.Fault{
		{Reset: facadetest.ResetBeforeRead},
		{Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetAfterRead, Process: true},
		{Status: http.StatusInternalServerError, Process: true},
		{Status: http.StatusRequestTimeout, Process: true},
		{Status: statuses[random.IntN(len(statuses))]},
		{Truncate: true},
		{Body: "<html>"},
		{Body: "{}"},
	}
	if r.Method == http.MethodDelete { // its response has no body
		all = all[:6]
	}
	i := random.IntN(len(all))
	return all[i : i+1]
}

// Two concurrent programs, in every order of their requests. If there is room, a second
// run of each program reaches the desired webhooks, also before the first run of the other
// program ends. In a full account the second runs follow in sequence.
func TestApplyPlan_everyOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, held, desired string
		limit               int
		runs                int  // of each program
		isSecond            bool // a second, concurrent run follows
	}{
		{"create", "", "a:A", 0, 2, false},
		{"replace", "a:A", "a:AB", 0, 2, false},
		{"delete duplicates", "a:A a:AA a:A", "a:A", 0, 2, false},
		{"replace two by one", "a:A a:B", "a:AB", 0, 1, true},
		{"replace one by two", "a:AB", "a:A a:B", 0, 1, true},
		{"replace two", "a:A b:A", "a:B b:B", 0, 1, false},
		{"full account, replace one", "a:A other:A", "a:AB", 2, 1, false},
		{"full account, replace two by one", "a:A a:B", "a:AB", 2, 1, false},
	}
	for _, test := range tests {
		for name, step := range map[string]time.Duration{"clock goes on": time.Second, "clock goes back": -time.Second} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				n := 0
				for pick := range everyOrder {
					n++
					s := simulation{t: t, desired: parse(test.desired), limit: test.limit, pick: pick, retry: withoutRetries}
					s.start(parse(test.held), facadetest.WithClock(newClock(step)))
					program := func(client *facade.Client) {
						for range test.runs {
							_, _, err := s.planAndApply(client)
							assert.True(t, err == nil || test.limit > 0 && errors.Is(err, facade.ErrWebhookLimitReached), err)
						}
					}
					s.run(program, program)
					if test.isSecond {
						s.run(program, program)
					}
					if test.isSecond || test.runs == 2 {
						assert.Equal(t, s.reached(), s.account.String(), "after a second run of each program\n%s", &s)
					}
					s.pick = func(int) int { return 0 }
					s.finish()
					s.Close()
					require.False(t, t.Failed())
				}
				t.Logf("%d orders", n)
			})
		}
	}
}

// everyOrder yields a function for each possible series of picks. The first pick is always
// the same, because the programs are equal. With the race detector there are twelve random
// series, about a tenth.
func everyOrder(yield func(pick func(n int) int) bool) {
	random := rand.New(rand.NewPCG(1, 0))
	for range 12 {
		if raceEnabled && !yield(random.IntN) {
			return
		}
	}
	series := [][]int{{0}} // the first picks of each series to come
	for len(series) > 0 && !raceEnabled {
		picks, n := series[len(series)-1], 0
		series = series[:len(series)-1]
		if !yield(func(limit int) int {
			if n == len(picks) {
				for other := 1; other < limit; other++ {
					series = append(series, append(slices.Clone(picks), other))
				}
				picks = append(picks, 0)
			}
			n++
			return picks[n-1]
		}) {
			return
		}
	}
}
