package facadetest_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// withoutInterval removes the interval between attempts.
var withoutInterval = facadetest.WithDeliveryRetries(3, 0)

// newEvents returns an event of each type without Type and EmittedAt.
func newEvents() []any {
	return []any{
		&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"},
		&notification.LiveStreamBroadcastEnded{LiveStreamID: "li1"},
		&notification.VideoSourceRecorded{LiveStreamID: "li1", VideoID: "vi1"},
		&notification.VideoEncodingQualityCompleted{VideoID: "vi1", Encoding: "hls", Quality: "720p"},
		&notification.VideoCaptionGenerated{VideoID: "vi1", CaptionID: "cap1", GenerationMode: "transcript", Language: "en"},
		&notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"},
	}
}

// summary is an event with Type and EmittedAt.
var summary = notification.VideoSummaryGenerated{
	Type: "video.summary.generated", EmittedAt: time.Date(2024, 8, 8, 14, 15, 40, 0, time.UTC), VideoID: "vi1", SummaryID: "summary1",
}

const summaryBody = `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:15:40Z","videoId":"vi1","summaryId":"summary1"}`

// hookRequest is a request to a hook.
type hookRequest struct {
	header http.Header
	body   string
}

// A hook receives notifications. It responds with its statuses in order, and then
// with 202.
type hook struct {
	*httptest.Server

	mu       sync.Mutex
	statuses []int
	got      []hookRequest
}

func newHook(t *testing.T, statuses ...int) *hook {
	t.Helper()
	h := &hook{statuses: statuses}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, hookRequest{r.Header, string(body)})
	status := http.StatusAccepted
	if len(h.statuses) > 0 {
		status, h.statuses = h.statuses[0], h.statuses[1:]
	}
	if status >= 300 && status <= 399 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

func (h *hook) requests() []hookRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func (h *hook) bodies() []string {
	var bodies []string
	for _, r := range h.requests() {
		bodies = append(bodies, r.body)
	}
	return bodies
}

// subscribe creates a webhook. The default event is the summary.
func subscribe(t *testing.T, server *facadetest.Server, url string, events ...facade.EventType) *facade.Webhook {
	t.Helper()
	if events == nil {
		events = []facade.EventType{facade.EventVideoSummaryGenerated}
	}
	w, err := server.Client().CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: url, Events: events})
	require.NoError(t, err)
	return w
}

// delivery returns a delivery with attempts of these statuses.
func delivery(w *facade.Webhook, statuses ...int) facadetest.Delivery {
	d := facadetest.Delivery{WebhookID: w.ID, URL: w.URL}
	for _, status := range statuses {
		d.Attempts = append(d.Attempts, facadetest.Attempt{Status: status})
	}
	return d
}

func TestDeliver_subscribedWebhooks(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithNewestFirst())
	recorded, other := facade.EventVideoSourceRecorded, facade.EventVideoCaptionGenerated
	one, two, none, gone := newHook(t, http.StatusOK), newHook(t), newHook(t), newHook(t)
	first := subscribe(t, server, one.URL, other, recorded)
	deleted := subscribe(t, server, gone.URL, recorded)
	subscribe(t, server, none.URL, other)
	second := subscribe(t, server, two.URL+"/path?query=1", recorded)
	duplicate := subscribe(t, server, one.URL, recorded)
	require.NoError(t, server.Client().DeleteWebhook(t.Context(), deleted.ID))
	got := server.Deliver(t.Context(), notification.VideoSourceRecorded{VideoID: "vi1"})
	require.Len(t, got, 3)
	ids := []string{got[0].WebhookID, got[1].WebhookID, got[2].WebhookID}
	assert.Equal(t, []string{first.ID, second.ID, duplicate.ID}, ids, "oldest first")
	assert.Equal(t, delivery(second, http.StatusAccepted), got[1])
	for _, d := range got {
		assert.True(t, d.OK())
	}
	assert.Len(t, one.requests(), 2, "two webhooks with one URL")
	assert.Equal(t, one.bodies()[0], two.bodies()[0])
	assert.Empty(t, none.requests())
	assert.Empty(t, gone.requests())
	assert.Empty(t, server.Deliver(t.Context(), &notification.LiveStreamBroadcastEnded{}), "no webhook is subscribed")
}

func TestDeliver_matchesContract(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	var got []facade.EventType
	var hook *httptest.Server
	hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		contract.Notification(t, r, body)
		webhook := server.Webhooks()[0]
		verifier, err := notification.NewVerifier(notification.StaticSecrets(webhook.SignatureSecret))
		assert.NoError(t, err)
		n, err := verifier.Verify(r.Context(), r.Header, body)
		if assert.NoError(t, err) {
			assert.Equal(t, webhook.ID, n.WebhookID)
			got = append(got, n.Type)
		}
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		assert.Equal(t, []string{
			"Connection", "Content-Length", "Content-Type", "User-Agent", "X-Api-Video-Signature", "X-Api-Video-Webhookid",
		}, slices.Sorted(maps.Keys(r.Header)))
		assert.Equal(t, hook.URL, "http://"+r.Host)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(hook.Close)
	var all []facade.EventType
	for event := range contract.Load(t).Webhooks {
		all = append(all, facade.EventType(event))
	}
	subscribe(t, server, hook.URL, all...)
	for _, event := range newEvents() {
		deliveries := server.Deliver(t.Context(), event)
		require.Len(t, deliveries, 1, "%T", event)
		assert.True(t, deliveries[0].OK(), "%+v", deliveries)
	}
	assert.ElementsMatch(t, all, got)
}

func TestDeliver_setsTypeAndTime(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, _ := start(t, facadetest.WithUnknownEvents(), facadetest.WithClock(clock.Now))
	hook := newHook(t)
	subscribe(t, server, hook.URL)
	subscribe(t, server, hook.URL, "video.new")
	empty := &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}
	odd := notification.LiveStreamBroadcastEnded{Type: "video.new", LiveStreamID: "<&>"}
	server.Deliver(t.Context(), empty)
	clock.add(time.Second + time.Microsecond)
	server.Deliver(t.Context(), odd)
	server.Deliver(t.Context(), &summary)
	assert.Equal(t, []string{
		`{"type":"video.summary.generated","emittedAt":"2024-08-08T14:12:18.125Z","videoId":"vi1","summaryId":"summary1"}`,
		`{"type":"video.new","emittedAt":"2024-08-08T14:12:19.125Z","liveStreamId":"\u003c\u0026\u003e"}`,
		summaryBody,
	}, hook.bodies())
	assert.Equal(t, &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}, empty, "Deliver changes a copy")
}

// A deduplicator must not drop the second of two calls.
func TestDeliver_zeroEmittedAt(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, _ := start(t, facadetest.WithClock(clock.Now))
	hook := newHook(t)
	subscribe(t, server, hook.URL)
	event := &notification.VideoSummaryGenerated{VideoID: "vi1"}
	times := func() (all []string) {
		for _, body := range hook.bodies() {
			var fields map[string]string
			require.NoError(t, json.Unmarshal([]byte(body), &fields))
			all = append(all, strings.TrimPrefix(fields["emittedAt"], "2024-08-08T"))
		}
		return all
	}
	for range 3 {
		server.Deliver(t.Context(), event)
	}
	clock.add(time.Second)
	server.Deliver(t.Context(), event)
	clock.add(-time.Hour)
	server.Deliver(t.Context(), event)
	clock.add(time.Hour - time.Second)
	server.Deliver(t.Context(), event)
	assert.Equal(t, []string{
		"14:12:18.125Z", "14:12:18.125000001Z", "14:12:18.125000002Z", "14:12:19.125Z", "13:12:19.125000003Z", "14:12:18.125000004Z",
	}, times())
}

// The server and the receiver agree on the type.
func TestDeliver_typeAsDecoded(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	hook := newHook(t)
	subscribe(t, server, hook.URL)
	const subscribed, unknown = `"video.summary.generated"`, `"video.new"`
	for _, body := range []string{
		`{"Type":` + subscribed + `}`,
		`{"type":` + unknown + `,"TYPE":` + subscribed + `}`,
		`{"type":` + subscribed + `,"type":5}`,
	} {
		assert.Len(t, server.Deliver(t.Context(), []byte(body)), 1, body)
	}
	assert.PanicsWithValue(t, `facadetest: unknown event "video.new"; WithUnknownEvents allows it`, func() {
		server.Deliver(t.Context(), []byte(`{"type":`+subscribed+`,"TYPE":`+unknown+`}`))
	})
}

func TestWithDeliveryClient(t *testing.T) {
	t.Parallel()
	accepting := newHook(t)
	secure := httptest.NewUnstartedServer(accepting)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the rejected certificate
	secure.StartTLS()
	t.Cleanup(secure.Close)
	server, _ := start(t, facadetest.WithDeliveryClient(secure.Client()))
	webhook := subscribe(t, server, secure.URL)
	for range 2 {
		got := server.Deliver(t.Context(), &summary)
		assert.Equal(t, []facadetest.Delivery{delivery(webhook, http.StatusAccepted)}, got)
	}
	assert.Equal(t, []string{summaryBody, summaryBody}, accepting.bodies())
	assert.Equal(t, "close", accepting.requests()[0].header.Get("Connection"), "each attempt has its own connection")
	other, _ := start(t, withoutInterval)
	subscribe(t, other, secure.URL)
	var unknown x509.UnknownAuthorityError
	got := other.Deliver(t.Context(), &summary)
	require.Len(t, got, 1)
	assert.ErrorAs(t, got[0].Attempts[0].Err, &unknown, "the default client does not trust the certificate")
}

// Only the Transport of the client has an effect.
func TestWithDeliveryClient_otherFields(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]*http.Client{
		"zero":    {},
		"timeout": {Timeout: time.Nanosecond},
		"redirects": {CheckRedirect: func(*http.Request, []*http.Request) error {
			assert.Fail(t, "a redirect was followed")
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := start(t, withoutInterval, facadetest.WithDeliveryClient(client))
			hook := newHook(t, http.StatusFound)
			webhook := subscribe(t, server, hook.URL)
			got := server.Deliver(t.Context(), &summary)
			assert.Equal(t, []facadetest.Delivery{delivery(webhook, http.StatusFound, http.StatusAccepted)}, got)
		})
	}
}

func TestDeliver_bytesUnchanged(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithUnknownEvents())
	hook := newHook(t)
	subscribe(t, server, hook.URL, "video.new")
	bodies := []string{
		`{"type":"video.new"}`,
		"\n{ \"videoId\" : \"\xff\", \"type\":\"video.new\",\"emittedAt\":7}\r\n",
		`{"type":"video.new"} and more`,
	}
	for _, body := range bodies {
		assert.Len(t, server.Deliver(t.Context(), []byte(body)), 1)
		assert.Len(t, server.Deliver(t.Context(), json.RawMessage(body)), 1)
	}
	assert.Equal(t, []string{bodies[0], bodies[0], bodies[1], bodies[1], bodies[2], bodies[2]}, hook.bodies())
}

func TestDeliver_retries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retries   int
		responses []int
		want      []int
		delivered bool
	}{
		"accepted":                    {3, nil, []int{202}, true},
		"status 299":                  {3, []int{299}, []int{299}, true},
		"status 204":                  {3, []int{204}, []int{204}, true},
		"success of the last attempt": {3, []int{400, 401, 503}, []int{400, 401, 503, 202}, true},
		"all attempts fail":           {3, []int{500, 500, 404, 410}, []int{500, 500, 404, 410}, false},
		"redirects":                   {3, []int{301, 302, 307, 308}, []int{301, 302, 307, 308}, false},
		"zero retries":                {0, []int{500}, []int{500}, false},
		"five retries":                {5, []int{300, 300, 300, 300, 300, 300}, []int{300, 300, 300, 300, 300, 300}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := start(t, facadetest.WithDeliveryRetries(test.retries, 0))
			hook := newHook(t, test.responses...)
			webhook := subscribe(t, server, hook.URL)
			got := server.Deliver(t.Context(), summary)
			assert.Equal(t, []facadetest.Delivery{delivery(webhook, test.want...)}, got)
			assert.Equal(t, test.delivered, got[0].OK())
			requests := hook.requests()
			require.Len(t, requests, len(test.want), "redirects are not followed")
			for _, r := range requests {
				assert.Equal(t, requests[0], r, "bytes and headers are equal in each attempt")
			}
			assert.Equal(t, summaryBody, requests[0].body)
		})
	}
}

// The server and the hook are created outside the bubble, because their sockets
// would keep the time from passing.
func TestDeliver_interval(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts []facadetest.Option
		want time.Duration
		took int // attempts
	}{
		"default":      {nil, 9 * time.Second, 4},
		"two, minutes": {[]facadetest.Option{facadetest.WithDeliveryRetries(2, time.Minute)}, 2 * time.Minute, 3},
	} {
		server, _ := start(t, test.opts...)
		hook := newHook(t, 500, 500, 500, 500)
		webhook := subscribe(t, server, hook.URL)
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			got := server.Deliver(t.Context(), summary)
			assert.Equal(t, test.want, time.Since(begin), name)
			assert.Equal(t, []facadetest.Delivery{delivery(webhook, []int{500, 500, 500, 500}[:test.took]...)}, got)
		})
	}
}

func TestDeliver_canceledContext(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	hook := newHook(t, 500, 500)
	webhook := subscribe(t, server, hook.URL)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		begin := time.Now()
		got := server.Deliver(ctx, summary)
		assert.Equal(t, 4*time.Second, time.Since(begin), "during the second wait")
		assert.Equal(t, []facadetest.Delivery{delivery(webhook, 500, 500)}, got)
		assert.False(t, got[0].OK())
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := server.Deliver(ctx, summary)
	require.Len(t, got, 1)
	require.Len(t, got[0].Attempts, 1, "there is no retry")
	require.ErrorIs(t, got[0].Attempts[0].Err, context.Canceled)
	assert.Len(t, hook.requests(), 2)
}

func TestDeliver_connectionError(t *testing.T) {
	t.Parallel()
	server, _ := start(t, withoutInterval)
	closed := newHook(t)
	closed.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(reset.Close)
	subscribe(t, server, closed.URL)
	subscribe(t, server, reset.URL)
	got := server.Deliver(t.Context(), summary)
	require.Len(t, got, 2)
	for _, d := range got {
		assert.False(t, d.OK())
		assert.Len(t, d.Attempts, 4)
		for _, a := range d.Attempts {
			assert.Zero(t, a.Status)
			require.Error(t, a.Err)
		}
	}
	require.ErrorIs(t, got[0].Attempts[0].Err, syscall.ECONNREFUSED)
	require.ErrorIs(t, got[1].Attempts[0].Err, io.EOF)
}

func TestDeliver_timeout(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithDeliveryRetries(1, 0), facadetest.WithDeliveryTimeout(20*time.Millisecond))
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	subscribe(t, server, silent.URL)
	got := server.Deliver(t.Context(), summary)
	require.Len(t, got, 1)
	assert.Len(t, got[0].Attempts, 2)
	for _, a := range got[0].Attempts {
		assert.Zero(t, a.Status)
		require.ErrorIs(t, a.Err, context.DeadlineExceeded)
	}
}

func TestDeliver_slowResponseBody(t *testing.T) {
	t.Parallel()
	// On a busy machine an attempt can time out before the status arrives.
	server, _ := start(t, facadetest.WithDeliveryRetries(1000, 0), facadetest.WithDeliveryTimeout(50*time.Millisecond))
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(slow.Close)
	subscribe(t, server, slow.URL)
	got := server.Deliver(t.Context(), summary)
	require.Len(t, got, 1)
	assert.True(t, got[0].OK(), "the status arrived in time")
}

func TestDeliver_infiniteResponseBody(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	aborted := make(chan bool, 1)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for sent := 0; sent < 256<<20 && err == nil; sent += 1 << 16 {
			_, err = w.Write(bytes.Repeat([]byte(" "), 1<<16))
		}
		aborted <- err != nil
	}))
	t.Cleanup(endless.Close)
	webhook := subscribe(t, server, endless.URL)
	got := server.Deliver(t.Context(), summary)
	assert.Equal(t, []facadetest.Delivery{delivery(webhook, http.StatusOK)}, got)
	assert.True(t, <-aborted, "the body was read completely")
}

func TestDeliver_webhooksInParallel(t *testing.T) {
	t.Parallel()
	const hooks = 5
	server, _ := start(t)
	var all sync.WaitGroup
	all.Add(hooks)
	barrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all.Done()
		all.Wait() // until each webhook has its request
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(barrier.Close)
	for range hooks {
		subscribe(t, server, barrier.URL)
	}
	for _, d := range server.Deliver(t.Context(), summary) {
		assert.True(t, d.OK())
	}
}

func TestClose_abortsDeliveries(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	arrived := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	failing := newHook(t, 500)
	subscribe(t, server, silent.URL)
	second := subscribe(t, server, failing.URL)
	delivered := make(chan []facadetest.Delivery)
	go func() { delivered <- server.Deliver(t.Context(), summary) }()
	<-arrived
	require.Eventually(t, func() bool { return len(failing.requests()) == 1 }, 10*time.Second, time.Millisecond)
	requireClose(t, server)
	got := <-delivered
	require.Len(t, got[0].Attempts, 1)
	require.ErrorIs(t, got[0].Attempts[0].Err, context.Canceled)
	assert.Len(t, got[1].Attempts, 1)
	assert.Equal(t, second.ID, got[1].WebhookID)
	for _, d := range server.Deliver(t.Context(), summary) {
		require.Len(t, d.Attempts, 1)
		require.ErrorIs(t, d.Attempts[0].Err, context.Canceled, "a closed server does not deliver")
	}
	assert.Len(t, failing.requests(), 1)
}

func TestDelivery_formatWithoutSecret(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithDeliveryRetries(0, 0))
	accepting, closed := newHook(t), newHook(t)
	closed.Close()
	subscribe(t, server, accepting.URL)
	subscribe(t, server, closed.URL)
	got := server.Deliver(t.Context(), summary)
	for _, format := range []string{"%v", "%+v", "%#v", "%q"} {
		printed := fmt.Sprintf(format, got)
		for _, w := range server.Webhooks() {
			assert.NotContains(t, printed, w.SignatureSecret.Reveal())
		}
	}
	assert.Contains(t, fmt.Sprintf("%+v", got[0]), "Attempts:[{Status:202 Err:<nil>}]")
}

func TestDeliver_invalidEvent(t *testing.T) {
	t.Parallel()
	pointer := &summary
	const noType = `facadetest: the event is not a JSON object with a "type" string`
	for name, test := range map[string]struct {
		event any
		want  string
	}{
		"nil":                   {nil, "facadetest: the event is nil"},
		"nil pointer":           {(*notification.VideoSummaryGenerated)(nil), "facadetest: the event is nil"},
		"text":                  {summaryBody, "facadetest: string is not an event type"},
		"pointer to a pointer":  {&pointer, "facadetest: **notification.VideoSummaryGenerated is not an event type"},
		"received notification": {&notification.Notification{}, "facadetest: *notification.Notification is not an event type"},
		"no bytes":              {[]byte(nil), noType},
		"no JSON":               {[]byte("type"), noType},
		"no object":             {[]byte(`["type"]`), noType},
		"no type":               {json.RawMessage(`{"types":"video.new"}`), noType},
		"numeric type":          {json.RawMessage(`{"type":7}`), noType},
		"empty type":            {json.RawMessage(`{"type":""}`), noType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := start(t)
			assert.PanicsWithValue(t, test.want, func() { server.Deliver(t.Context(), test.event) })
		})
	}
}

func TestDeliver_invalidYear(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	defer func() {
		reason := fmt.Sprint(recover())
		assert.True(t, strings.HasPrefix(reason, "facadetest: json: "), reason)
		assert.Contains(t, reason, "year outside of range")
	}()
	server.Deliver(t.Context(), notification.VideoSummaryGenerated{EmittedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
}

func TestNewServer_invalidDeliveryOption(t *testing.T) {
	t.Parallel()
	const retries = "facadetest: WithDeliveryRetries: the count and the interval must be zero or more"
	const timeout = "facadetest: WithDeliveryTimeout: the timeout must be positive"
	for name, test := range map[string]struct {
		option facadetest.Option
		want   string
	}{
		"retries":          {facadetest.WithDeliveryRetries(-1, 0), retries},
		"interval":         {facadetest.WithDeliveryRetries(0, -1), retries},
		"zero timeout":     {facadetest.WithDeliveryTimeout(0), timeout},
		"negative timeout": {facadetest.WithDeliveryTimeout(-1), timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.PanicsWithValue(t, test.want, func() { facadetest.NewServer(test.option) })
		})
	}
}
