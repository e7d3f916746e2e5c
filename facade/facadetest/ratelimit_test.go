package facadetest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

func (r response) assertRateLimit(limit, remaining, retryAfter string) {
	r.t.Helper()
	assert.Equal(r.t, []string{limit, remaining, retryAfter}, []string{
		r.header.Get("X-RateLimit-Limit"), r.header.Get("X-RateLimit-Remaining"), r.header.Get("X-RateLimit-Retry-After"),
	})
}

func TestRateLimit_defaults(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithClock(newClock().Now))
	call.do(http.MethodGet, "/webhooks", "").assertRateLimit("100", "99", "60")
	call.do(http.MethodPost, "/webhooks", someWebhook).assertRateLimit("40", "39", "60")
	call.do(http.MethodGet, "/webhooks/a", "").assertRateLimit("100", "98", "60")
	call.do(http.MethodDelete, "/webhooks/a", "").assertRateLimit("40", "38", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks", "", "Authorization", "").assertRateLimit("100", "97", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks?pageSize=101", "").assertRateLimit("100", "96", "60")
	call.responsesOnly().do(http.MethodPut, "/webhooks/a", "").assertRateLimit("40", "37", "60")
	call.responsesOnly().do(http.MethodGet, "/webhooks/", "").assertRateLimit("100", "95", "60")
	call.responsesOnly().do(http.MethodGet, "/auth/", "").assertRateLimit("", "", "")
}

func TestRateLimit_windows(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, call := start(t, facadetest.WithClock(clock.Now), facadetest.WithRateLimit(2, 1))
	read := func() response { return call.do(http.MethodGet, "/webhooks", "") }
	write := func() response { return call.do(http.MethodPost, "/webhooks", someWebhook) }
	read().assertRateLimit("2", "1", "60")
	clock.add(20*time.Second + time.Millisecond)
	write().assertRateLimit("1", "0", "60")
	read().assertRateLimit("2", "0", "40")
	refused := read()
	refused.assertError(http.StatusTooManyRequests, "too-many-requests", "Too many requests.", "")
	refused.assertRateLimit("2", "0", "40")
	write().assertError(http.StatusTooManyRequests, "too-many-requests", "Too many requests.", "")
	assert.Len(t, server.Webhooks(), 1)
	clock.add(40*time.Second - 2*time.Millisecond)
	read().assertRateLimit("2", "0", "1")
	clock.add(time.Millisecond)
	next := read()
	assert.Equal(t, http.StatusOK, next.status, "a window ends a minute after its first request")
	next.assertRateLimit("2", "1", "60")
	write().assertRateLimit("1", "0", "21")
	clock.add(time.Hour)
	write().assertRateLimit("1", "0", "60")
	clock.add(-time.Hour)
	read().assertRateLimit("2", "0", "60")
	assert.Equal(t, http.StatusCreated, write().status, "a clock that moves back begins a new window")
}

func TestRateLimit_disabled(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithRateLimit(0, 1))
	for range 3 {
		resp := call.do(http.MethodGet, "/webhooks", "")
		assert.Equal(t, http.StatusOK, resp.status)
		resp.assertRateLimit("", "", "")
	}
	call.create(someWebhook)
	assert.Equal(t, http.StatusTooManyRequests, call.do(http.MethodPost, "/webhooks", someWebhook).status)
}

func TestRateLimit_tokens(t *testing.T) {
	t.Parallel()
	_, call := start(t, facadetest.WithRateLimit(1, 1))
	for range 3 {
		exchange(call)
	}
	resp := refresh(call, "wrong")
	assert.Equal(t, http.StatusUnauthorized, resp.status)
	resp.assertRateLimit("", "", "")
	call.create(someWebhook)
}
