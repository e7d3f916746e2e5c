package facadetest_test

import (
	"cmp"
	"context"
	"crypto/rand"
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

// summary is an event with Type and EmittedAt, and summaryBody its notification.
var summary = notification.VideoSummaryGenerated{
	Type: "video.summary.generated", EmittedAt: time.Date(2024, 8, 8, 14, 15, 40, 0, time.UTC), VideoID: "vi1", SummaryID: "summary1",
}

const summaryBody = `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:15:40Z","videoId":"vi1","summaryId":"summary1"}`

// The responses of a receiver other than a status.
const (
	silent       = -1 // until the delivery is canceled
	slowBody     = -2 // 202 and a body that ends with the delivery
	infiniteBody = -3 // 202
)

// A receiver gets deliveries in memory, because a socket would stop the time of
// synctest. The responses are sent in order, and then 202.
type receiver struct {
	mu        sync.Mutex
	responses []int
	bodies    []string
}

// option makes a server deliver to the receiver. The other fields of the client must
// have no effect.
func (r *receiver) option() facadetest.Option {
	return facadetest.WithDeliveryClient(&http.Client{
		Transport:     r,
		CheckRedirect: func(*http.Request, []*http.Request) error { panic("a redirect was followed") },
		Timeout:       1,
	})
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	body, _ := io.ReadAll(req.Body)
	r.bodies = append(r.bodies, string(body))
	response := http.StatusAccepted
	if len(r.responses) > 0 {
		response, r.responses = r.responses[0], r.responses[1:]
	}
	r.mu.Unlock()
	resp := &http.Response{StatusCode: http.StatusAccepted, Header: http.Header{"Location": {"/"}}, Body: http.NoBody}
	switch response {
	case silent:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case slowBody:
		slow, w := io.Pipe()
		context.AfterFunc(req.Context(), func() { _ = w.Close() })
		resp.Body = slow
	case infiniteBody:
		resp.Body = io.NopCloser(rand.Reader)
	default:
		resp.StatusCode = response
	}
	return resp, nil
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

func TestNotification_matchesContract(t *testing.T) {
	t.Parallel()
	server, _ := start(t)
	var types []facade.EventType
	var headers []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers = append(headers, strings.Join(slices.Sorted(maps.Keys(r.Header)), " "))
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		contract.Notification(t, r, body)
		webhook := server.Webhooks()[0]
		verifier, err := notification.NewVerifier(notification.StaticSecrets(webhook.SignatureSecret))
		assert.NoError(t, err)
		n, err := verifier.Verify(r.Context(), r.Header, body)
		if assert.NoError(t, err) {
			assert.Equal(t, webhook.ID, n.WebhookID)
			assert.WithinDuration(t, time.Now(), n.EmittedAt, time.Minute)
			types = append(types, n.Type)
		}
		assert.Equal(t, "/hook?a=b", r.RequestURI)
		assert.Equal(t, int64(len(body)), r.ContentLength)
		w.WriteHeader(http.StatusAccepted)
	})
	receiver := httptest.NewServer(handler)
	t.Cleanup(receiver.Close)
	webhook := subscribe(server, receiver.URL+"/hook?a=b", facade.EventTypes()...)
	for _, event := range []any{
		&notification.LiveStreamBroadcastStarted{LiveStreamID: "li1"},
		&notification.LiveStreamBroadcastEnded{LiveStreamID: "li1"},
		&notification.VideoSourceRecorded{LiveStreamID: "li1", VideoID: "vi1"},
		&notification.VideoEncodingQualityCompleted{VideoID: "vi1", Encoding: "hls", Quality: "720p"},
		&notification.VideoCaptionGenerated{VideoID: "vi1", CaptionID: "cap1", GenerationMode: "transcript", Language: "en"},
		&notification.VideoSummaryGenerated{VideoID: "vi1", SummaryID: "summary1"},
	} {
		assert.True(t, server.Deliver(t.Context(), event)[0].OK())
		r := facadetest.NewNotificationRequest(t.Context(), "/hook?a=b", webhook.ID, webhook.SignatureSecret, event)
		handler(httptest.NewRecorder(), r)
	}
	assert.ElementsMatch(t, slices.Repeat(facade.EventTypes(), 2), types)
	const requested = "Content-Type X-Api-Video-Signature X-Api-Video-Webhookid"
	const delivered = "Connection Content-Length Content-Type User-Agent X-Api-Video-Signature X-Api-Video-Webhookid"
	assert.Equal(t, slices.Repeat([]string{delivered, requested}, len(facade.EventTypes())), headers)
}

// A deduplicator must not drop the second of two requests. Bytes need no type.
func TestNewNotificationRequest_bodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		bodies := make(map[string]bool)
		empty := &notification.VideoSummaryGenerated{}
		for _, event := range []any{summary, summary, empty, empty, []byte("no JSON")} {
			r := facadetest.NewNotificationRequest(t.Context(), "/", "webhook_1", facade.NewSecret("a"), event)
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			bodies[string(body)] = true
		}
		assert.Len(t, bodies, 4)
		assert.Subset(t, bodies, map[string]bool{summaryBody: true, "no JSON": true})
	})
}

func TestDeliver_bodies(t *testing.T) {
	t.Parallel()
	var clock clock
	var receiver receiver
	server, _ := start(t, receiver.option(), facadetest.WithUnknownEvents(), facadetest.WithClock(clock.now), facadetest.WithNewestFirst())
	one := subscribe(server, "https://hooks.example.com/a", "video.summary.generated", "video.caption.generated")
	deleted := subscribe(server, "https://hooks.example.com/a")
	other := subscribe(server, "https://hooks.example.com/a", "video.new")
	two := subscribe(server, "https://hooks.example.com/b")
	require.NoError(t, server.Client().DeleteWebhook(t.Context(), deleted.ID))
	accepted := []facadetest.Attempt{{Status: http.StatusAccepted}}
	first := facadetest.Delivery{WebhookID: one.ID, URL: one.URL, Attempts: accepted}
	summaries := []facadetest.Delivery{first, {WebhookID: two.ID, URL: two.URL, Attempts: accepted}}
	unknown := []facadetest.Delivery{{WebhookID: other.ID, URL: other.URL, Attempts: accepted}}
	empty := &notification.VideoSummaryGenerated{VideoID: "vi1"}
	odd := notification.LiveStreamBroadcastEnded{Type: "video.new", LiveStreamID: "<>"}
	emitted := func(at string) string {
		return `{"type":"video.summary.generated","emittedAt":"2024-08-08T` + at + `","videoId":"vi1"}`
	}
	for _, test := range []struct {
		after      time.Duration
		event      any
		deliveries []facadetest.Delivery
		body       string // empty for unchanged bytes
	}{
		// The times of zero EmittedAt differ, because a deduplicator must drop no event.
		{0, empty, summaries, emitted("14:12:18.125Z")},
		{0, empty, summaries, emitted("14:12:18.125000001Z")},
		{0, *empty, summaries, emitted("14:12:18.125000002Z")},
		{time.Second + time.Microsecond, empty, summaries, emitted("14:12:19.125Z")},
		{-time.Hour, empty, summaries, emitted("13:12:19.125000003Z")},
		{time.Hour - time.Second, empty, summaries, emitted("14:12:18.125000004Z")},
		{0, &summary, summaries, summaryBody},
		{time.Minute, odd, unknown, `{"type":"video.new","emittedAt":"2024-08-08T14:13:18.125Z","liveStreamId":"\u003c\u003e"}`},
		{0, json.RawMessage(`{"type":"video.caption.generated"}`), []facadetest.Delivery{first}, ""},
		{0, json.RawMessage("\n{ \"videoId\" : \"\xff\", \"type\":\"video.new\",\"emittedAt\":7}\r\n"), unknown, ""},
		{0, []byte(`{"type":"video.new"} and more`), unknown, ""},
		// A receiver decodes the same type.
		{0, []byte(`{"Type":"video.summary.generated"}`), summaries, ""},
		{0, []byte(`{"type":"video.new","TYPE":"video.summary.generated"}`), summaries, ""},
		{0, []byte(`{"type":"video.summary.generated","TYPE":"video.new"}`), unknown, ""},
		{0, []byte(`{"type":"video.summary.generated","type":5}`), summaries, ""},
	} {
		clock.add(test.after)
		receiver.bodies = nil
		body := test.body
		if body == "" {
			body = fmt.Sprintf("%s", test.event)
		}
		assert.Equal(t, test.deliveries, server.Deliver(t.Context(), test.event), body)
		assert.Equal(t, slices.Repeat([]string{body}, len(test.deliveries)), receiver.bodies)
	}
	assert.Equal(t, notification.VideoSummaryGenerated{VideoID: "vi1"}, *empty, "Deliver changes a copy")
	assert.Empty(t, server.Deliver(t.Context(), &notification.LiveStreamBroadcastEnded{}), "no webhook is subscribed")
}

func TestDeliver_attempts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	timeout := []facadetest.Option{facadetest.WithDeliveryTimeout(s)}
	retries := func(count int, interval time.Duration) []facadetest.Option {
		return []facadetest.Option{facadetest.WithDeliveryRetries(count, interval)}
	}
	for name, test := range map[string]struct {
		opts      []facadetest.Option
		cancel    time.Duration // zero means never
		responses []int
		want      []int // zero means no response
		ok        bool
		took      time.Duration
	}{
		"accepted":           {nil, 0, nil, []int{202}, true, 0},
		"299":                {nil, 0, []int{299}, []int{299}, true, 0},
		"200":                {nil, 0, []int{200}, []int{200}, true, 0},
		"success at last":    {nil, 0, []int{400, 199, 503}, []int{400, 199, 503, 202}, true, (3 + 3 + 3) * s},
		"failures":           {nil, 0, []int{500, 300, 404, 410}, []int{500, 300, 404, 410}, false, (3 + 3 + 3) * s},
		"redirects":          {nil, 0, []int{301, 302, 307, 308}, []int{301, 302, 307, 308}, false, (3 + 3 + 3) * s},
		"zero retries":       {retries(0, s), 0, []int{500}, []int{500}, false, 0},
		"two retries":        {retries(2, time.Minute), 0, []int{500, 500, 500}, []int{500, 500, 500}, false, 2 * time.Minute},
		"retries at once":    {retries(2, 0), 0, []int{500, 500}, []int{500, 500, 202}, true, 0},
		"silent":             {nil, 0, []int{silent, silent}, []int{0, 0, 202}, true, (10 + 3 + 10 + 3) * s},
		"timeout":            {timeout, 0, []int{silent}, []int{0, 202}, true, (1 + 3) * s},
		"slow body":          {nil, 0, []int{slowBody}, []int{202}, true, 10 * s},
		"infinite body":      {nil, 0, []int{infiniteBody}, []int{202}, true, 0},
		"canceled in a wait": {nil, 4 * s, []int{500, 500}, []int{500, 500}, false, 4 * s},
		"canceled before":    {nil, -1, []int{silent}, []int{0}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := &receiver{responses: test.responses}
			server, _ := start(t, append(test.opts, receiver.option())...)
			subscribe(server, params.URL)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(test.cancel, forever))
				defer cancel()
				begin := time.Now()
				got := server.Deliver(ctx, summary)[0]
				assert.Equal(t, test.took, time.Since(begin))
				assert.Equal(t, test.ok, got.OK())
				var statuses []int
				for _, a := range got.Attempts {
					statuses = append(statuses, a.Status)
					assert.Equal(t, a.Status == 0, a.Err != nil)
				}
				assert.Equal(t, test.want, statuses)
				assert.Equal(t, slices.Repeat([]string{summaryBody}, len(test.want)), receiver.bodies)
			})
		})
	}
}

func TestDeliver_connectionErrors(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(reset.Close)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // of the rejected certificate
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	retry := facadetest.WithDeliveryRetries(1, 0)
	for _, opts := range [][]facadetest.Option{{retry}, {retry, facadetest.WithDeliveryClient(&http.Client{})}} {
		server, _ := start(t, opts...)
		subscribe(server, closed.URL)
		subscribe(server, reset.URL)
		webhook := subscribe(server, untrusted.URL)
		got := server.Deliver(t.Context(), summary)
		for i, want := range []string{"connection refused", "EOF", "certificate signed by unknown authority"} {
			assert.False(t, got[i].OK())
			assert.Len(t, got[i].Attempts, 2)
			for _, a := range got[i].Attempts {
				assert.Zero(t, a.Status)
				require.ErrorContains(t, a.Err, want)
			}
		}
		assert.NotContains(t, fmt.Sprintf("%+v %#v %q", got, got, got), webhook.SignatureSecret.Reveal())
	}
}

// One delivery is in an attempt at the same time as another waits for a retry.
func TestClose_abortsDeliveries(t *testing.T) {
	t.Parallel()
	receiver := &receiver{responses: []int{silent, 500, silent, silent}}
	server, _ := start(t, receiver.option())
	subscribe(server, params.URL)
	subscribe(server, params.URL)
	delivered := make(chan []facadetest.Delivery)
	go func() { delivered <- server.Deliver(t.Context(), summary) }()
	eventually(t, func() bool { return len(receiver.received()) == 2 })
	server.Close()
	got := <-delivered
	require.Len(t, got[0].Attempts, 1)
	require.Len(t, got[1].Attempts, 1)
	assert.Equal(t, 500, got[0].Attempts[0].Status+got[1].Attempts[0].Status)
	for _, d := range server.Deliver(t.Context(), summary) {
		require.Len(t, d.Attempts, 1)
		require.ErrorIs(t, d.Attempts[0].Err, context.Canceled, "a closed server does not deliver")
	}
}
