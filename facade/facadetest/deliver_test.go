package facadetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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

// atOnce lets no test wait for a retry.
var atOnce = facadetest.WithDeliveryRetries(3, 0)

// oneOfEach returns an event of each type, with nothing in it that Deliver fills in.
func oneOfEach() []any {
	return []any{
		&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"},
		&notification.LiveStreamBroadcastEnded{LiveStreamID: "li1"},
		&notification.VideoSourceRecorded{LiveStreamID: "li1", VideoID: "vi1"},
		&notification.VideoEncodingQualityCompleted{VideoID: "vi1", Encoding: "hls", Quality: "720p"},
		&notification.VideoCaptionGenerated{VideoID: "vi1", CaptionID: "cap1", GenerationMode: "transcript", Language: "en"},
		&notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"},
	}
}

// summary is an event that says all of itself.
var summary = notification.VideoSummaryGenerated{
	Type: "video.summary.generated", EmittedAt: time.Date(2024, 8, 8, 14, 15, 40, 0, time.UTC), VideoID: "vi1", SummaryID: "summary1",
}

const summaryBody = `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:15:40Z","videoId":"vi1","summaryId":"summary1"}`

// received is a request that a hook got.
type received struct {
	header http.Header
	body   string
}

// A hook receives notifications. It answers with its statuses, one after the
// other, and then with 202.
type hook struct {
	*httptest.Server

	mu       sync.Mutex
	statuses []int
	got      []received
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
	h.got = append(h.got, received{r.Header, string(body)})
	status := http.StatusAccepted
	if len(h.statuses) > 0 {
		status, h.statuses = h.statuses[0], h.statuses[1:]
	}
	if status >= 300 && status <= 399 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

func (h *hook) received() []received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func (h *hook) bodies() []string {
	var bodies []string
	for _, r := range h.received() {
		bodies = append(bodies, r.body)
	}
	return bodies
}

// subscribe creates a webhook, for summaries unless other events are given.
func subscribe(t *testing.T, server *facadetest.Server, url string, events ...facade.EventType) *facade.Webhook {
	t.Helper()
	if events == nil {
		events = []facade.EventType{facade.EventVideoSummaryGenerated}
	}
	w, err := server.Client().CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: url, Events: events})
	require.NoError(t, err)
	return w
}

// answered returns a delivery whose attempts got these statuses.
func answered(w *facade.Webhook, statuses ...int) facadetest.Delivery {
	d := facadetest.Delivery{WebhookID: w.ID, URL: w.URL}
	for _, status := range statuses {
		d.Attempts = append(d.Attempts, facadetest.Attempt{Status: status})
	}
	return d
}

func TestDeliverReachesThoseWhoAreSubscribed(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithNewestFirst())
	recorded, other := facade.EventVideoSourceRecorded, facade.EventVideoCaptionGenerated
	one, two, none, gone := newHook(t, http.StatusOK), newHook(t), newHook(t), newHook(t)
	first := subscribe(t, server, one.URL, other, recorded)
	deleted := subscribe(t, server, gone.URL, recorded)
	subscribe(t, server, none.URL, other)
	second := subscribe(t, server, two.URL+"/path?query=1", recorded)
	again := subscribe(t, server, one.URL, recorded)
	require.NoError(t, server.Client().DeleteWebhook(t.Context(), deleted.ID))

	got := server.Deliver(t.Context(), notification.VideoSourceRecorded{VideoID: "vi1"})

	require.Len(t, got, 3)
	ids := []string{got[0].WebhookID, got[1].WebhookID, got[2].WebhookID}
	assert.Equal(t, []string{first.ID, second.ID, again.ID}, ids, "oldest first, as Webhooks returns them")
	assert.Equal(t, answered(second, http.StatusAccepted), got[1])
	for _, d := range got {
		assert.True(t, d.OK())
	}
	assert.Len(t, one.received(), 2, "two webhooks of one url")
	assert.Equal(t, one.bodies()[0], two.bodies()[0])
	assert.Empty(t, none.received())
	assert.Empty(t, gone.received())

	assert.Empty(t, server.Deliver(t.Context(), &notification.LiveStreamBroadcastEnded{}), "nobody is subscribed")
}

func TestDeliverSendsWhatTheContractSays(t *testing.T) {
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

	for _, event := range oneOfEach() {
		deliveries := server.Deliver(t.Context(), event)
		require.Len(t, deliveries, 1, "%T", event)
		assert.True(t, deliveries[0].OK(), "%+v", deliveries)
	}

	assert.ElementsMatch(t, all, got)
}

func TestDeliverFillsInTypeAndTime(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server, _ := start(t, facadetest.WithClock(clock.Now))
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
	assert.Equal(t, &notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"}, empty, "it is a copy that is filled in")
}

func TestDeliverSendsBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
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

func TestDeliverTriesAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retries   int
		answers   []int
		want      []int
		delivered bool
	}{
		"taken":                  {3, nil, []int{202}, true},
		"up to 299":              {3, []int{299}, []int{299}, true},
		"without a body":         {3, []int{204}, []int{204}, true},
		"at the last attempt":    {3, []int{400, 401, 503}, []int{400, 401, 503, 202}, true},
		"lost":                   {3, []int{500, 500, 404, 410}, []int{500, 500, 404, 410}, false},
		"redirected":             {3, []int{301, 302, 307, 308}, []int{301, 302, 307, 308}, false},
		"no retries":             {0, []int{500}, []int{500}, false},
		"as many as one may say": {5, []int{300, 300, 300, 300, 300, 300}, []int{300, 300, 300, 300, 300, 300}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := start(t, facadetest.WithDeliveryRetries(test.retries, 0))
			hook := newHook(t, test.answers...)
			webhook := subscribe(t, server, hook.URL)

			got := server.Deliver(t.Context(), summary)

			assert.Equal(t, []facadetest.Delivery{answered(webhook, test.want...)}, got)
			assert.Equal(t, test.delivered, got[0].OK())
			requests := hook.received()
			require.Len(t, requests, len(test.want), "redirects aren't followed")
			for _, r := range requests {
				assert.Equal(t, requests[0], r, "the same bytes and headers each time")
			}
			assert.Equal(t, summaryBody, requests[0].body)
		})
	}
}

// The server and the hook are made outside of the bubbles: their sockets would
// keep time from passing.
func TestDeliverWaitsLikeTheService(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	hook := newHook(t, 500, 500, 500, 500)
	webhook := subscribe(t, server, hook.URL)

	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := server.Deliver(t.Context(), summary)
		assert.Equal(t, 9*time.Second, time.Since(begin), "three waits of three seconds")
		assert.Equal(t, []facadetest.Delivery{answered(webhook, 500, 500, 500, 500)}, got)
	})
}

func TestDeliverWaitsAsLongAsSaid(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithDeliveryRetries(2, time.Minute))
	hook := newHook(t, 500, 500)
	subscribe(t, server, hook.URL)

	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got := server.Deliver(t.Context(), summary)
		assert.Equal(t, 2*time.Minute, time.Since(begin))
		assert.True(t, got[0].OK())
	})
}

func TestDeliverEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	hook := newHook(t, 500, 500)
	webhook := subscribe(t, server, hook.URL)

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		begin := time.Now()
		got := server.Deliver(ctx, summary)
		assert.Equal(t, 4*time.Second, time.Since(begin), "in the middle of the second wait")
		assert.Equal(t, []facadetest.Delivery{answered(webhook, 500, 500)}, got)
		assert.False(t, got[0].OK())
	})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := server.Deliver(ctx, summary)
	require.Len(t, got, 1)
	require.Len(t, got[0].Attempts, 1, "nothing is tried again")
	require.ErrorIs(t, got[0].Attempts[0].Err, context.Canceled)
	assert.Len(t, hook.received(), 2)
}

func TestDeliverTellsWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	server, _ := start(t, atOnce)
	refusing := newHook(t)
	refusing.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(reset.Close)
	subscribe(t, server, refusing.URL)
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

func TestDeliverDoesNotWaitForASlowReceiver(t *testing.T) {
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

func TestDeliverDoesNotWaitForTheRestOfAnAnswer(t *testing.T) {
	t.Parallel()
	// On a busy machine an attempt may end before the status has come.
	server, _ := start(t, facadetest.WithDeliveryRetries(1000, 0), facadetest.WithDeliveryTimeout(50*time.Millisecond))
	talking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(talking.Close)
	subscribe(t, server, talking.URL)

	got := server.Deliver(t.Context(), summary)

	require.Len(t, got, 1)
	assert.True(t, got[0].OK(), "its status was there in time")
}

func TestDeliverReadsNoAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	brokenOff := make(chan bool, 1)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for sent := 0; sent < 256<<20 && err == nil; sent += 1 << 16 { // as good as endless
			_, err = w.Write(bytes.Repeat([]byte(" "), 1<<16))
		}
		brokenOff <- err != nil
	}))
	t.Cleanup(endless.Close)
	webhook := subscribe(t, server, endless.URL)

	got := server.Deliver(t.Context(), summary)

	assert.Equal(t, []facadetest.Delivery{answered(webhook, http.StatusOK)}, got)
	assert.True(t, <-brokenOff, "it was read to its end")
}

func TestDeliverDoesNotLetOneWebhookWaitForAnother(t *testing.T) {
	t.Parallel()
	const hooks = 5
	server, _ := start(t)
	var all sync.WaitGroup
	all.Add(hooks)
	meeting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all.Done()
		all.Wait() // for the others
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(meeting.Close)
	for range hooks {
		subscribe(t, server, meeting.URL)
	}

	for _, d := range server.Deliver(t.Context(), summary) {
		assert.True(t, d.OK())
	}
}

func TestCloseBreaksOffDeliveries(t *testing.T) {
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
	require.Eventually(t, func() bool { return len(failing.received()) == 1 }, 10*time.Second, time.Millisecond)
	closes(t, server)

	got := <-delivered
	require.Len(t, got[0].Attempts, 1)
	require.ErrorIs(t, got[0].Attempts[0].Err, context.Canceled)
	assert.Len(t, got[1].Attempts, 1)
	assert.Equal(t, second.ID, got[1].WebhookID)

	for _, d := range server.Deliver(t.Context(), summary) {
		require.Len(t, d.Attempts, 1)
		require.ErrorIs(t, d.Attempts[0].Err, context.Canceled, "a closed server delivers nothing")
	}
	assert.Len(t, failing.received(), 1)
}

func TestDeliveriesPrintNoSecret(t *testing.T) {
	t.Parallel()
	server, _ := start(t, facadetest.WithDeliveryRetries(0, 0))
	taking, refusing := newHook(t), newHook(t)
	refusing.Close()
	subscribe(t, server, taking.URL)
	subscribe(t, server, refusing.URL)

	got := server.Deliver(t.Context(), summary)

	for _, format := range []string{"%v", "%+v", "%#v", "%q"} {
		printed := fmt.Sprintf(format, got)
		for _, w := range server.Webhooks() {
			assert.NotContains(t, printed, w.SignatureSecret.Reveal())
		}
	}
	assert.Contains(t, fmt.Sprintf("%+v", got[0]), "Attempts:[{Status:202 Err:<nil>}]")
}

func TestDeliverConcurrently(t *testing.T) {
	t.Parallel()
	const callers = 20
	server, _ := start(t, atOnce, facadetest.WithWebhookLimit(0), facadetest.WithRateLimit(0, 0))
	hook := newHook(t, 500, 500, 500)
	client := server.Client()
	subscribe(t, server, hook.URL)

	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			w, err := client.CreateWebhook(t.Context(), facade.CreateWebhookParams{URL: hook.URL, Events: []facade.EventType{"video.new"}})
			if !assert.NoError(t, err) {
				return
			}
			for _, d := range server.Deliver(t.Context(), summary) {
				assert.True(t, d.OK())
			}
			assert.NotEmpty(t, server.Deliver(t.Context(), []byte(`{"type":"video.new"}`)))
			assert.NoError(t, client.DeleteWebhook(t.Context(), w.ID))
		})
	}
	group.Wait()

	bodies := hook.bodies()
	assert.GreaterOrEqual(t, len(bodies), 2*callers+3)
	assert.Empty(t, server.Deliver(t.Context(), []byte(`{"type":"video.new"}`)))
}

func TestDeliverPanicsOnWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	pointer := &summary
	const noType = `facadetest: without a "type" that is a string an event has no subscribers`
	for name, test := range map[string]struct {
		event any
		want  string
	}{
		"nil":               {nil, "facadetest: nil is no event"},
		"a nil pointer":     {(*notification.VideoSummaryGenerated)(nil), "facadetest: nil is no event"},
		"text":              {summaryBody, "facadetest: string is no event"},
		"another pointer":   {&pointer, "facadetest: **notification.VideoSummaryGenerated is no event"},
		"what was received": {&notification.Notification{}, "facadetest: *notification.Notification is no event"},
		"no date in JSON": {
			notification.VideoSummaryGenerated{EmittedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			"facadetest: json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: year outside of range [0,9999]",
		},
		"no bytes":            {[]byte(nil), noType},
		"no JSON":             {[]byte("type"), noType},
		"no object":           {[]byte(`["type"]`), noType},
		"no type":             {json.RawMessage(`{"TYPE":"video.new"}`), noType},
		"no text for a type":  {json.RawMessage(`{"type":7}`), noType},
		"empty text for type": {json.RawMessage(`{"type":""}`), noType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := start(t)
			assert.PanicsWithValue(t, test.want, func() { server.Deliver(t.Context(), test.event) })
		})
	}
}

func TestNewServerPanicsOnDeliveriesThatCannotBe(t *testing.T) {
	t.Parallel()
	const retries = "facadetest: the retries of a delivery and the time between them are zero or more"
	const timeout = "facadetest: an attempt to deliver takes more than no time"
	for name, test := range map[string]struct {
		option facadetest.Option
		want   string
	}{
		"retries":          {facadetest.WithDeliveryRetries(-1, 0), retries},
		"interval":         {facadetest.WithDeliveryRetries(0, -1), retries},
		"no timeout":       {facadetest.WithDeliveryTimeout(0), timeout},
		"negative timeout": {facadetest.WithDeliveryTimeout(-1), timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.PanicsWithValue(t, test.want, func() { facadetest.NewServer(test.option) })
		})
	}
}
