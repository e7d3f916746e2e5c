package facade_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
)

var (
	// byDefault is the policy of a client that isn't told any.
	byDefault = facade.WithRetry(facade.RetryPolicy{})
	// quickly is for tests that don't run in a bubble.
	quickly = facade.WithRetry(facade.RetryPolicy{MinDelay: time.Millisecond, MaxDelay: time.Second})
)

// script answers each request with the next handler, and those beyond the last
// one with that, and notes what arrived.
type script struct {
	handlers []http.HandlerFunc

	mu     sync.Mutex
	times  []time.Time
	heads  []http.Header
	bodies []string
}

func play(handlers ...http.HandlerFunc) *script { return &script{handlers: handlers} }

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	s.heads = append(s.heads, r.Header.Clone())
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	s.handlers[min(n, len(s.handlers)-1)](w, r)
}

// requests is how many have arrived.
func (s *script) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// waits are the times between them.
func (s *script) waits() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for i := 1; i < len(s.times); i++ {
		all = append(all, s.times[i].Sub(s.times[i-1]))
	}
	return all
}

func unavailable(w http.ResponseWriter, r *http.Request) {
	answer(http.StatusServiceUnavailable, `{"title":"Later."}`)(w, r)
}

// throttled is a 429 with these headers.
func throttled(headers ...string) http.HandlerFunc {
	return answerWith(http.StatusTooManyRequests, `{"title":"Too many requests."}`, headers...)
}

func TestUnavailableTwice(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(unavailable, unavailable, succeed)
				client := newBubbleClient(t, server.ServeHTTP, byDefault)
				start := time.Now()
				err := op.call(t.Context(), client)
				if op.status == http.StatusCreated {
					assert.Equal(t, 1, server.requests(), "it may have created one")
					assert.Zero(t, time.Since(start))
					if op.op != "" {
						require.ErrorIs(t, err, facade.ErrUnconfirmed)
						require.ErrorIs(t, err, facade.ErrServer)
						assert.Equal(t, 1, asError(t, err).Attempts)
					}
					return
				}
				require.NoError(t, err)
				waits := server.waits()
				require.Len(t, waits, 2)
				assert.LessOrEqual(t, waits[0], 500*time.Millisecond)
				assert.LessOrEqual(t, waits[1], time.Second)
				assert.Positive(t, waits[0]+waits[1])
				assert.Equal(t, waits[0]+waits[1], time.Since(start), "nothing else takes time")
			})
		})
	}
}

func TestTooManyOnce(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(throttled("X-RateLimit-Retry-After", "2"), succeed)
				client := newBubbleClient(t, server.ServeHTTP, byDefault)
				start := time.Now()
				require.NoError(t, op.call(t.Context(), client))
				assert.Equal(t, 2, server.requests())
				assert.GreaterOrEqual(t, time.Since(start), 2*time.Second)
				assert.Less(t, time.Since(start), 2300*time.Millisecond)
			})
		})
	}
}

func TestFormsOfTheWait(t *testing.T) {
	t.Parallel()
	// A back-off this long is told from every wait that someone asks for. That it
	// is shorter than a second happens once in 36 million times.
	const backOff = 10_000 * time.Hour
	policy := facade.WithRetry(facade.RetryPolicy{MinDelay: backOff, MaxDelay: backOff})
	const own, standard = "X-RateLimit-Retry-After", "Retry-After"
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	tests := []struct {
		name      string
		headers   func() []string
		low, high time.Duration
	}{
		{"the service's own header", func() []string { return []string{own, "2"} }, 2 * time.Second, 2300 * time.Millisecond},
		{"the standard one, as a proxy adds it", func() []string { return []string{standard, "3"} }, 3 * time.Second, 3400 * time.Millisecond},
		{"both: the service knows best", func() []string { return []string{own, "2", standard, "30"} }, 2 * time.Second, 2300 * time.Millisecond},
		{"its own is garbage: the standard one holds", func() []string { return []string{own, "soon", standard, "3"} }, 3 * time.Second, 3400 * time.Millisecond},
		{"a date", func() []string { return []string{standard, date(5 * time.Second)} }, 5 * time.Second, 5600 * time.Millisecond},
		{"a date in the past: now", func() []string { return []string{standard, date(-time.Hour)} }, 0, 100 * time.Millisecond},
		{"zero: now", func() []string { return []string{own, "0"} }, 0, 100 * time.Millisecond},
		{"a minute, as long as its windows are", func() []string { return []string{own, "60"} }, time.Minute, 66100 * time.Millisecond},
		{"none: backs off", func() []string { return nil }, time.Second, backOff},
		{"empty: backs off", func() []string { return []string{own, "", standard, ""} }, time.Second, backOff},
		{"garbage: backs off", func() []string { return []string{own, "soon", standard, "later"} }, time.Second, backOff},
		{"negative: backs off", func() []string { return []string{own, "-2", standard, "-3"} }, time.Second, backOff},
		{"a fraction: backs off", func() []string { return []string{own, "2.5"} }, time.Second, backOff},
		{"more than 31 bits: backs off", func() []string { return []string{own, "2147483648"} }, time.Second, backOff},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := play(throttled(test.headers()...), succeed)
					client := newBubbleClient(t, server.ServeHTTP, policy)
					start := time.Now()
					require.NoError(t, op.call(t.Context(), client))
					assert.GreaterOrEqual(t, time.Since(start), test.low)
					assert.LessOrEqual(t, time.Since(start), test.high)
				})
			})
		}
	}
	for name, test := range map[string]struct {
		headers   []string
		low, high time.Duration
	}{
		"503 with the standard header":             {[]string{standard, "3"}, 3 * time.Second, 3400 * time.Millisecond},
		"503 with the header of the service alone": {[]string{own, "0"}, time.Second, backOff},
		"503 and a clock five minutes behind": {
			[]string{standard, date(5*time.Minute + 5*time.Second), "Date", date(5 * time.Minute)}, 5 * time.Second, 5600 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(answerWith(http.StatusServiceUnavailable, "", test.headers...), succeed)
				client := newBubbleClient(t, server.ServeHTTP, policy)
				start := time.Now()
				get(t, client)
				assert.GreaterOrEqual(t, time.Since(start), test.low)
				assert.LessOrEqual(t, time.Since(start), test.high)
			})
		})
	}
}

func TestWaitThatIsTooLong(t *testing.T) {
	t.Parallel()
	patient := facade.RetryPolicy{MaxDelay: math.MaxInt64}
	tests := []struct {
		name     string
		policy   facade.RetryPolicy
		deadline time.Duration
		handler  http.HandlerFunc
		want     error
		asked    time.Duration
	}{
		{"a second beyond MaxDelay", facade.RetryPolicy{}, 0, throttled("X-RateLimit-Retry-After", "61"), facade.ErrTooManyRequests, 61 * time.Second},
		{"68 years", facade.RetryPolicy{}, 0, throttled("Retry-After", "2147483647"), facade.ErrTooManyRequests, math.MaxInt32 * time.Second},
		{"a date that is far", facade.RetryPolicy{}, 0, throttled("Retry-After", "Sun, 01 Jan 2200 00:00:00 GMT"), facade.ErrTooManyRequests, 60 * 365 * 24 * time.Hour},
		{"until the deadline, so that no time would be left", patient, 10 * time.Second, throttled("Retry-After", "10"), facade.ErrTooManyRequests, 10 * time.Second},
		{"beyond the deadline", patient, 10 * time.Second, throttled("Retry-After", "11"), facade.ErrTooManyRequests, 11 * time.Second},
		// This one is random, and within the deadline once in 36 million times.
		{"backing off beyond the deadline", facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: math.MaxInt64}, time.Second, unavailable, facade.ErrServer, 0},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := play(test.handler, succeed)
					client := newBubbleClient(t, server.ServeHTTP, facade.WithRetry(test.policy))
					ctx := t.Context()
					if test.deadline > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, test.deadline)
						defer cancel()
					}
					start := time.Now()
					err := op.call(ctx, client)
					assert.Zero(t, time.Since(start), "it is known at once")
					require.ErrorIs(t, err, test.want)
					require.NotErrorIs(t, err, context.DeadlineExceeded, "it isn't over yet")
					assert.Equal(t, errors.Is(err, facade.ErrServer) && op.name == "create", errors.Is(err, facade.ErrUnconfirmed))
					e := asError(t, err)
					assert.GreaterOrEqual(t, e.RetryAfter, test.asked)
					assert.Equal(t, test.asked == 0, e.RetryAfter == 0)
					assert.Equal(t, 1, e.Attempts)
					assert.Equal(t, 1, server.requests())
				})
			})
		}
	}
	t.Run("as long as MaxDelay is not", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := play(throttled("Retry-After", "60"), succeed)
			get(t, newBubbleClient(t, server.ServeHTTP, byDefault))
			assert.Equal(t, 2, server.requests())
		})
	})
	t.Run("shorter than the deadline is not", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := play(throttled("Retry-After", "10"), succeed)
			client := newBubbleClient(t, server.ServeHTTP, byDefault)
			ctx, cancel := context.WithTimeout(t.Context(), 11100*time.Millisecond)
			defer cancel()
			_, err := client.GetWebhook(ctx, "w")
			require.NoError(t, err)
			assert.Equal(t, 2, server.requests())
		})
	})
}

func TestContextThatEndsDuringTheWait(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(throttled("Retry-After", "30"), succeed)
				client := newBubbleClient(t, server.ServeHTTP, byDefault)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				stop := time.AfterFunc(time.Second, func() { cancel(errSibling) })
				defer stop.Stop()
				start := time.Now()
				err := op.call(ctx, client)
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, facade.ErrUnconfirmed, "a 429 creates nothing")
				assert.Equal(t, time.Second, time.Since(start))
				assert.Equal(t, 1, server.requests())
				e := asError(t, err)
				assert.Equal(t, op.op, e.Op)
				assert.Equal(t, 1, e.Attempts)
				require.ErrorIs(t, err, facade.ErrTooManyRequests, "it says what it waited for")
				assert.Equal(t, 30*time.Second, e.RetryAfter)
				assert.Equal(t, "Too many requests.", e.Title)
			})
		})
	}
	t.Run("after an attempt without an answer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := play(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, succeed)
			client := newBubbleClient(t, server.ServeHTTP, facade.WithRetry(facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: 10_000 * time.Hour}))
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(time.Second, cancel).Stop()
			_, err := client.GetWebhook(ctx, "w")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "EOF", "it says what it waited for")
		})
	})
	t.Run("a delete that may have happened isn't known to have", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := play(unavailable, succeed)
			client := newBubbleClient(t, server.ServeHTTP, facade.WithRetry(facade.RetryPolicy{MinDelay: 10_000 * time.Hour, MaxDelay: 10_000 * time.Hour}))
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(time.Second, cancel).Stop()
			require.ErrorIs(t, client.DeleteWebhook(ctx, "w"), context.Canceled)
			assert.Equal(t, 1, server.requests())
		})
	})
}

func TestMaxAttempts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy facade.RetryPolicy
		want   int
	}{
		{"1 turns it off", facade.RetryPolicy{MaxAttempts: 1}, 1},
		{"2", facade.RetryPolicy{MaxAttempts: 2}, 2},
		{"100, far beyond where the bound stops doubling", facade.RetryPolicy{MaxAttempts: 100}, 100},
		{"zero means four", facade.RetryPolicy{}, 4},
		{"zero means four, whatever the delays", facade.RetryPolicy{MinDelay: time.Minute, MaxDelay: time.Hour}, 4},
	}
	for _, test := range tests {
		for _, op := range operations {
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := play(throttled())
					client := newBubbleClient(t, server.ServeHTTP, facade.WithRetry(test.policy))
					err := op.call(t.Context(), client)
					require.ErrorIs(t, err, facade.ErrTooManyRequests)
					require.NotErrorIs(t, err, facade.ErrUnconfirmed)
					assert.Equal(t, test.want, server.requests())
					assert.Equal(t, test.want, asError(t, err).Attempts)
				})
			})
		}
	}
	t.Run("without the option it is four as well", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			client, err := facade.NewClient(testKey, facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				sent.Add(1)
				return nil, io.ErrUnexpectedEOF
			})}))
			require.NoError(t, err)
			start := time.Now()
			_, err = client.GetWebhook(t.Context(), "w")
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, 4, asError(t, err).Attempts)
			assert.Equal(t, int32(4), sent.Load())
			assert.Positive(t, time.Since(start))
			assert.LessOrEqual(t, time.Since(start), 3500*time.Millisecond, "500 ms, 1 s and 2 s at most")
		})
	})
}

func TestDelaysOfThePolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy facade.RetryPolicy
		bounds []time.Duration
	}{
		{"MinDelay is the first bound", facade.RetryPolicy{MinDelay: time.Millisecond}, []time.Duration{time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond}},
		{"MaxDelay is the last one", facade.RetryPolicy{MaxAttempts: 6, MaxDelay: time.Second}, []time.Duration{500 * time.Millisecond, time.Second, time.Second, time.Second, time.Second}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(unavailable)
				client := newBubbleClient(t, server.ServeHTTP, facade.WithRetry(test.policy))
				_, err := client.GetWebhook(t.Context(), "w")
				require.ErrorIs(t, err, facade.ErrServer)
				waits := server.waits()
				require.Len(t, waits, len(test.bounds))
				for i, wait := range waits {
					assert.LessOrEqual(t, wait, test.bounds[i])
				}
			})
		})
	}
}

func TestWithRetryRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy facade.RetryPolicy
	}{
		{"fewer attempts than none", facade.RetryPolicy{MaxAttempts: -1}},
		{"a wait into the past", facade.RetryPolicy{MinDelay: -1}},
		{"a bound in the past", facade.RetryPolicy{MaxDelay: -1}},
		{"both", facade.RetryPolicy{MinDelay: -2, MaxDelay: -1}},
		{"the longest is shorter than the shortest", facade.RetryPolicy{MinDelay: 2, MaxDelay: 1}},
		{"the shortest is longer than a minute, which the longest is then", facade.RetryPolicy{MinDelay: time.Minute + 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, err := facade.NewClient(testKey, facade.WithRetry(test.policy))
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.Nil(t, client)
		})
	}
}

func TestEachAttemptSendsTheSame(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(throttled(), throttled(), throttled(), succeed)
				require.NoError(t, op.call(t.Context(), newBubbleClient(t, server.ServeHTTP, byDefault)))
				require.Len(t, server.bodies, 4)
				switch op.name {
				case "create":
					assert.JSONEq(t, `{"url":"https://hooks.example.com/apivideo","events":["video.encoding.quality.completed"]}`, server.bodies[0])
				case "raw create":
					assert.JSONEq(t, `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`, server.bodies[0])
				default:
					assert.Empty(t, server.bodies[0])
				}
				assert.Equal(t, basicKey, server.heads[0].Get("Authorization"))
				for i := 1; i < 4; i++ {
					assert.Equal(t, server.bodies[0], server.bodies[i])
					assert.Equal(t, server.heads[0], server.heads[i])
				}
			})
		})
	}
}

func TestDeleteThatMeetsItself(t *testing.T) {
	t.Parallel()
	remove := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	tests := []struct {
		name     string
		faults   []facadetest.Fault
		exists   bool
		want     error
		requests int
	}{
		{"its answer was lost", []facadetest.Fault{{Match: remove, Process: true, Reset: facadetest.ResetAfterRead}}, true, nil, 2},
		{"its answer was replaced by a gateway's", []facadetest.Fault{{Match: remove, Process: true, Status: 502}}, true, nil, 2},
		{"its answer was lost, then there were too many", []facadetest.Fault{{Match: remove, Process: true, Reset: facadetest.ResetAfterRead}, {Match: remove, Status: 429, Header: map[string]string{"X-RateLimit-Retry-After": "0"}}}, true, nil, 3},
		{"it was lost itself", []facadetest.Fault{{Match: remove, Reset: facadetest.ResetBeforeRead}}, true, nil, 2},
		{"there was nothing, and nothing was lost", nil, false, facade.ErrNotFound, 1},
		{"a 429 deletes nothing", []facadetest.Fault{{Match: remove, Status: 429, Header: map[string]string{"X-RateLimit-Retry-After": "0"}}}, false, facade.ErrNotFound, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, client := newFake(t)
			wh, err := client.CreateWebhook(t.Context(), validParams)
			require.NoError(t, err)
			if !test.exists {
				require.NoError(t, client.DeleteWebhook(t.Context(), wh.ID))
			}
			before := len(server.Requests())
			server.Inject(test.faults...)
			require.ErrorIs(t, client.DeleteWebhook(t.Context(), wh.ID), test.want)
			assert.Empty(t, server.Webhooks())
			assert.Len(t, server.Requests(), before+test.requests)
		})
	}
	t.Run("no connection deletes nothing", func(t *testing.T) {
		t.Parallel()
		server, client, _ := newUnreachable(t, 1)
		require.ErrorIs(t, client.DeleteWebhook(t.Context(), "w"), facade.ErrNotFound)
		assert.Len(t, server.Requests(), 1)
	})
}

// newUnreachable is newFake whose first dials are refused. They are counted.
func newUnreachable(t *testing.T, refused int32) (*facadetest.Server, *facade.Client, *atomic.Int32) {
	t.Helper()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	dials := new(atomic.Int32)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) <= refused {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return server, server.Client(facade.WithHTTPClient(&http.Client{Transport: transport})), dials
}

func TestConnectionThatIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("twice: then one webhook is created", func(t *testing.T) {
		t.Parallel()
		server, client, dials := newUnreachable(t, 2)
		wh, err := client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		assert.Equal(t, int32(3), dials.Load())
		held := server.Webhooks()
		require.Len(t, held, 1)
		assert.Equal(t, held[0].ID, wh.ID)
	})
	for _, op := range operations {
		t.Run("always/"+op.name, func(t *testing.T) {
			t.Parallel()
			server, client, dials := newUnreachable(t, math.MaxInt32)
			err := op.call(t.Context(), client)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NotErrorIs(t, err, facade.ErrUnconfirmed, "nothing was sent")
			assert.Equal(t, 4, asError(t, err).Attempts)
			assert.Equal(t, int32(4), dials.Load())
			assert.Empty(t, server.Requests())
		})
	}
	t.Run("after an attempt that may have created one", func(t *testing.T) {
		t.Parallel()
		server, client, dials := newUnreachable(t, 1)
		server.Inject(facadetest.Fault{Process: true, Reset: facadetest.ResetAfterRead})
		_, err := client.CreateWebhook(t.Context(), validParams)
		require.ErrorIs(t, err, facade.ErrUnconfirmed)
		assert.Equal(t, 2, asError(t, err).Attempts)
		assert.Equal(t, int32(2), dials.Load())
		assert.Len(t, server.Webhooks(), 1)
	})
}

func TestHandshakeThatFails(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.ErrorLog = discardLog
	server.StartTLS()
	t.Cleanup(server.Close)
	client, err := facade.NewClient(testKey, quickly, facade.WithBaseURL(server.URL), facade.WithHTTPClient(&http.Client{Transport: newTransport(t)}))
	require.NoError(t, err)
	for _, op := range operations {
		err := op.call(t.Context(), client)
		require.Error(t, err)
		require.NotErrorIs(t, err, facade.ErrUnconfirmed, "nothing was sent")
		assert.Equal(t, 4, asError(t, err).Attempts)
	}
	assert.Zero(t, requests.Load())
}

// deadConn is a connection that after a while takes no byte any more.
type deadConn struct {
	net.Conn
	dead *atomic.Bool
}

func (c deadConn) Write(b []byte) (int, error) {
	if c.dead.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

func TestPooledConnectionThatIsDead(t *testing.T) {
	t.Parallel()
	server := facadetest.NewServer()
	t.Cleanup(server.Close)
	var dead []*atomic.Bool
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		dead = append(dead, new(atomic.Bool))
		return deadConn{conn, dead[len(dead)-1]}, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client := server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}))
	_, err := client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	dead[0].Store(true)

	_, err = client.CreateWebhook(t.Context(), validParams)
	require.NoError(t, err)
	assert.Len(t, dead, 2)
	assert.Len(t, server.Requests(), 2)
	assert.Len(t, server.Webhooks(), 2)
}

func TestCreateWhoseAnswerIsLostIsSentOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault facadetest.Fault
		holds int
	}{
		{"reset after the work", facadetest.Fault{Process: true, Reset: facadetest.ResetAfterRead}, 1},
		{"reset before the work", facadetest.Fault{Reset: facadetest.ResetAfterRead}, 0},
		{"reset before it was read", facadetest.Fault{Reset: facadetest.ResetBeforeRead}, 0},
		{"cut", facadetest.Fault{Truncate: true}, 1},
		{"500 after the work", facadetest.Fault{Process: true, Status: 500}, 1},
		{"408 before the work", facadetest.Fault{Status: 408}, 0},
	}
	for _, major := range []int{1, 2} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("HTTP %d/%s", major, test.name), func(t *testing.T) {
				t.Parallel()
				fake := facadetest.NewServer()
				t.Cleanup(fake.Close)
				server := httptest.NewUnstartedServer(fake)
				server.EnableHTTP2 = major == 2
				server.Config.ErrorLog = discardLog
				server.StartTLS()
				t.Cleanup(server.Close)
				client := fake.Client(facade.WithBaseURL(server.URL), facade.WithHTTPClient(server.Client()))
				var seen atomic.Int32
				fault := test.fault
				fault.Match = func(r *http.Request) bool { seen.Store(int32(r.ProtoMajor)); return true }
				fake.Inject(fault)
				_, err := client.CreateWebhook(t.Context(), validParams)
				require.ErrorIs(t, err, facade.ErrUnconfirmed)
				assert.Equal(t, 1, asError(t, err).Attempts)
				assert.Equal(t, int32(major), seen.Load())
				assert.Len(t, fake.Requests(), 1)
				assert.Len(t, fake.Webhooks(), test.holds)
			})
		}
	}
}

// The connection that failed is not the one that the answer came over.
func TestTransportWithAnotherWay(t *testing.T) {
	t.Parallel()
	refused := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }}
	var answers atomic.Int32
	client, err := facade.NewClient(testKey, quickly, facade.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := refused.RoundTrip(r)
		if assert.ErrorIs(t, err, syscall.ECONNREFUSED) {
			answers.Add(1)
			return reply(http.StatusServiceUnavailable, "", nil), nil
		}
		return resp, err
	})}))
	require.NoError(t, err)
	_, err = client.CreateWebhook(t.Context(), validParams)
	require.ErrorIs(t, err, facade.ErrUnconfirmed)
	assert.Equal(t, int32(1), answers.Load())
}

func TestBodyThatIsCutIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if op.name == "delete" {
			continue // its success has no body
		}
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(answerWith(op.status, `{"webhookId":`, "Content-Length", "1000"), succeed)
				client := newBubbleClient(t, server.ServeHTTP, byDefault)
				err := op.call(t.Context(), client)
				if op.name == "create" {
					require.ErrorIs(t, err, facade.ErrUnconfirmed)
					assert.Equal(t, 1, server.requests())
				} else {
					require.NoError(t, err)
					assert.Equal(t, 2, server.requests())
				}
			})
		})
	}
}

func TestAnswersThatAreFinal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		success bool
	}{
		{"a success that is too large", answer(http.StatusOK, strings.Repeat(" ", 10<<20+1)), true},
		{"a refusal that is too large", answer(http.StatusConflict, strings.Repeat(" ", 64<<10+1)), false},
		{"a body that isn't what it should be", answer(http.StatusOK, "<html>"), true},
		{"a redirect", answerWith(http.StatusTemporaryRedirect, "", "Location", "/elsewhere"), false},
		{"400", answer(http.StatusBadRequest, "{}"), false},
		{"401", answer(http.StatusUnauthorized, "{}"), false},
		{"404", answer(http.StatusNotFound, "{}"), false},
		{"409", answer(http.StatusConflict, "{}"), false},
		{"425", answer(http.StatusTooEarly, "{}"), false},
	}
	for _, test := range tests {
		for _, op := range operations {
			if op.name == "delete" && test.success {
				continue // the status is sufficient
			}
			t.Run(test.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := play(test.handler)
					err := op.call(t.Context(), newBubbleClient(t, server.ServeHTTP, byDefault))
					assert.Equal(t, 1, asError(t, err).Attempts)
					assert.Equal(t, 1, server.requests())
				})
			})
		}
	}
}

// The timeout is that of an attempt, so that it isn't the call's end.
func TestAttemptThatTakesTooLong(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, succeed)
				client := newBubbleClient(t, server.ServeHTTP, byDefault, facade.WithTimeout(10*time.Second))
				start := time.Now()
				err := op.call(t.Context(), client)
				if op.name == "create" {
					require.ErrorIs(t, err, facade.ErrUnconfirmed)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, 10*time.Second, time.Since(start))
					assert.Equal(t, 1, server.requests())
					return
				}
				require.NoError(t, err)
				assert.Equal(t, 2, server.requests())
				assert.GreaterOrEqual(t, time.Since(start), 10*time.Second)
				assert.LessOrEqual(t, time.Since(start), 10500*time.Millisecond)
			})
		})
	}
}

func TestRawBodyThatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	const body = `{"url":"https://hooks.example.com/apivideo","events":["video.source.recorded"]}`
	tests := []struct {
		name string
		body func() io.Reader
		want int
	}{
		{"a reader of whatever is held in memory", func() io.Reader { return io.MultiReader(strings.NewReader(body)) }, 4},
		{"a string can be read again", func() io.Reader { return strings.NewReader(body) }, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := play(throttled())
				client := newBubbleClient(t, server.ServeHTTP, byDefault)
				resp, err := client.Raw().CreateWebhookWithBodyWithResponse(t.Context(), "application/json", test.body())
				require.NoError(t, err)
				assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode())
				require.Len(t, server.bodies, test.want)
				for _, sent := range server.bodies {
					assert.Equal(t, body, sent)
				}
			})
		})
	}
	t.Run("a raw request counts its own attempts", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := play(unavailable)
			client := newBubbleClient(t, server.ServeHTTP, byDefault)
			for range 2 {
				resp, err := client.Raw().ListWebhooksWithResponse(t.Context(), &gen.ListWebhooksParams{})
				require.NoError(t, err)
				assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode())
			}
			assert.Equal(t, 8, server.requests())
		})
	})
}

// What is left of an answer between attempts is read, so that the next one has
// no new connection to make.
func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 60 << 10} {
		large := answer(http.StatusTooManyRequests, strings.Repeat(" ", size))
		server := httptest.NewServer(play(large, large, large, succeed))
		t.Cleanup(server.Close)
		var dials atomic.Int32
		transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		client, err := facade.NewClient(testKey, quickly, facade.WithBaseURL(server.URL), facade.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, err)
		_, err = client.CreateWebhook(t.Context(), validParams)
		require.NoError(t, err)
		assert.EqualValues(t, 1, dials.Load(), size)
	}
}

func TestEachPageOfAWalkHasItsAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := func(n int) http.HandlerFunc { return answer(http.StatusOK, listJSON(n, 100, 250)) }
		server := play(unavailable, unavailable, unavailable, page(1), unavailable, throttled("Retry-After", "1"), unavailable, page(2), page(3), page(1), page(2), page(3))
		client := newBubbleClient(t, server.ServeHTTP, byDefault)
		all, err := facade.Collect(client.Webhooks(t.Context(), facade.ListOptions{}))
		require.NoError(t, err)
		assert.Len(t, all, 250)
		assert.Equal(t, 12, server.requests())
	})
}

func TestLogOfRetries(t *testing.T) {
	t.Parallel()
	t.Run("debug", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			recorder := &logRecorder{level: slog.LevelDebug}
			// Over a connection that was used before, net/http would try again by itself.
			server := play(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unavailable, throttled("Retry-After", "2"), succeed)
			client := newBubbleClient(t, server.ServeHTTP, byDefault, facade.WithLogger(slog.New(recorder)))
			get(t, client)
			waits := server.waits()
			require.Len(t, waits, 3)
			require.Len(t, recorder.records, 4, "one for each retry and one for the whole")
			for i, status := range []int64{0, 503, 429} {
				record := recorder.records[i]
				assert.Equal(t, slog.LevelWarn, record.Level)
				assert.Equal(t, "apivideo: retry", record.Message)
				got := attrs(t, record)
				assert.Equal(t, "GET", got["method"])
				assert.Contains(t, got["path"], "/webhooks/")
				assert.Equal(t, int64(i+1), got["attempt"])
				assert.Equal(t, waits[i].String(), got["wait"])
				if status != 0 {
					assert.Equal(t, status, got["status"])
				} else {
					assert.NotContains(t, got, "status")
				}
				if status == 0 {
					assert.Contains(t, got["error"], "EOF")
				} else {
					assert.NotContains(t, got, "error")
				}
			}
			assert.Equal(t, "apivideo: request", recorder.records[3].Message)
			last := attrs(t, recorder.records[3])
			assert.Equal(t, slog.LevelDebug, recorder.records[3].Level)
			assert.Equal(t, (waits[0] + waits[1] + waits[2]).String(), last["duration"])
			assert.Equal(t, int64(4), last["attempts"])
		})
	})
	t.Run("error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			recorder := &logRecorder{level: slog.LevelError}
			server := play(unavailable, succeed)
			get(t, newBubbleClient(t, server.ServeHTTP, byDefault, facade.WithLogger(slog.New(recorder))))
			assert.Equal(t, 2, server.requests())
			assert.Empty(t, recorder.records)
		})
	})
}

// The result of each create agrees with the webhooks that the server holds in the
// end, although responses and connections are lost.
func TestCreatesAreNeverDoubled(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP %d", major), func(t *testing.T) {
			t.Parallel()
			createsAreNeverDoubled(t, major)
		})
	}
}

func createsAreNeverDoubled(t *testing.T, major int) {
	t.Helper()
	const creates, workers = 2000, 16
	const number = "X-Test-Number" // of the request, from 0
	at := func(n int) func(*http.Request) bool {
		return func(r *http.Request) bool {
			got, err := strconv.Atoi(r.Header.Get(number))
			return err == nil && got%50 == n
		}
	}
	later := map[string]string{"Retry-After": "0"}
	faults := []facadetest.Fault{
		{Process: true, Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetAfterRead},
		{Reset: facadetest.ResetBeforeRead},
		{Truncate: true},
		{Process: true, Status: 503},
		{Status: 503},
		{Process: true, Status: 504, Body: "<html>"},
		{Process: true, Status: 408},
		{Status: 429, Header: later},
		{Status: 400},
		{Delay: time.Minute}, // created, and the response is late
	}
	const refuse = 9 // one in so many dials
	for i := range faults {
		faults[i].Match, faults[i].Times = at(4*i), -1
	}
	fake := facadetest.NewServer(facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	t.Cleanup(fake.Close)
	fake.Inject(faults...)
	var matched atomic.Int64
	fake.Inject(facadetest.Fault{ // ends the connection, over HTTP/2 by a graceful GOAWAY
		Match: func(*http.Request) bool { return matched.Add(1)%100 == 0 }, Times: -1, Header: map[string]string{"Connection": "close"},
	})
	var otherMajor atomic.Int64
	url, transport := fake.URL, new(http.Transport)
	if major == 2 {
		url, transport = newHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != major {
				otherMajor.Add(1)
			}
			fake.ServeHTTP(w, r)
		}))
	}
	t.Cleanup(transport.CloseIdleConnections)
	transport.MaxIdleConnsPerHost = workers
	var requests, dials, refused atomic.Int64
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1)%refuse == 0 {
			refused.Add(1)
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(transport.CloseIdleConnections)
	client := fake.Client(facade.WithBaseURL(url), facade.WithTimeout(500*time.Millisecond), facade.WithHTTPClient(&http.Client{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set(number, strconv.FormatInt(requests.Add(1)-1, 10))
			return transport.RoundTrip(r)
		}),
	}))

	urlOf := func(i int) string { return fmt.Sprintf("https://hooks.example.com/%d", i) }
	type result struct {
		id  string
		err error
	}
	results := make([]result, creates)
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < creates; i = int(next.Add(1)) - 1 {
				p := validParams
				p.URL = urlOf(i)
				wh, err := client.CreateWebhook(t.Context(), p)
				results[i].err = err
				if err == nil {
					results[i].id = wh.ID
				}
			}
		})
	}
	group.Wait()
	fake.Close() // and with it the requests that are late
	assert.Zero(t, otherMajor.Load())

	held := make(map[string][]string)
	for _, wh := range fake.Webhooks() {
		held[wh.URL] = append(held[wh.URL], wh.ID)
	}
	var created, unconfirmed, unconfirmedHeld, failed, repeated int
	for i, r := range results {
		ids := held[urlOf(i)]
		delete(held, urlOf(i))
		var e *facade.Error
		if errors.As(r.err, &e) && e.Attempts > 1 {
			repeated++
		}
		switch {
		case r.err == nil:
			created++
			assert.Equal(t, []string{r.id}, ids)
		case errors.Is(r.err, facade.ErrUnconfirmed):
			unconfirmed++
			unconfirmedHeld += len(ids)
			assert.LessOrEqual(t, len(ids), 1, r.err)
		default:
			failed++
			assert.Empty(t, ids, r.err)
		}
	}
	assert.Empty(t, held, "nobody asked for these")
	assert.Positive(t, failed)
	assert.Positive(t, unconfirmedHeld)
	assert.Greater(t, unconfirmed, unconfirmedHeld, "some created nothing")
	assert.Greater(t, created, creates/2)
	assert.Greater(t, requests.Load(), int64(creates), "some were sent again")
	assert.Positive(t, refused.Load())
	t.Logf("%d creates in %d requests, %d dials refused: %d created, %d unconfirmed of which %d were created, %d failed; %d of the errors came after more than one attempt",
		creates, requests.Load(), refused.Load(), created, unconfirmed, unconfirmedHeld, failed, repeated)
}
