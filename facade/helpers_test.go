package facade_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

const (
	// testKey is the API key of the clients below.
	testKey = "testkey-Zm9yZ2V0bWVub3Q"
	// webhookID is the ID of a webhook.
	webhookID = "webhook_0000000000000000000000"

	retryAfter    = "Retry-After"
	serviceHeader = "X-RateLimit-Retry-After"
)

var (
	// basicKey is the Authorization header of testKey.
	basicKey = "Basic " + base64.StdEncoding.EncodeToString([]byte(testKey+":"))

	withoutRetries = facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1})
	defaultRetries = facade.WithRetry(facade.RetryPolicy{})
	// fastRetries is for tests outside a synctest bubble.
	fastRetries = facade.WithRetry(facade.RetryPolicy{MinDelay: 1, MaxDelay: time.Second})

	// discardLog is for servers that log an error on purpose.
	discardLog = log.New(io.Discard, "", 0)
)

var validParams = facade.CreateWebhookParams{
	URL:    "https://hooks.example.com/apivideo",
	Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
}

// newFake returns a fake server and a client. All exchanges are checked against
// openapi.yaml.
func newFake(t *testing.T, opts ...facadetest.Option) (*facadetest.Server, *facade.Client) {
	t.Helper()
	server := facadetest.NewServer(opts...)
	t.Cleanup(server.Close)
	transport := counted(t, contract.Transport(t, inMemory(server)))
	return server, server.Client(facade.WithHTTPClient(&http.Client{Transport: transport}))
}

// newClientWith returns a client for production that sends through rt. The default is a
// client without retries.
func newClientWith(t *testing.T, rt http.RoundTripper, opts ...facade.Option) *facade.Client {
	t.Helper()
	hc := &http.Client{Transport: counted(t, rt)}
	client, err := facade.NewClient(testKey, append([]facade.Option{withoutRetries, facade.WithHTTPClient(hc)}, opts...)...)
	require.NoError(t, err)
	return client
}

// newClient returns a client whose requests handler serves without a network.
func newClient(t *testing.T, handler http.HandlerFunc, opts ...facade.Option) *facade.Client {
	t.Helper()
	return newClientWith(t, inMemory(handler), append([]facade.Option{facade.WithBaseURL("http://localhost")}, opts...)...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// inMemory returns a transport that calls handler directly.
func inMemory(handler http.Handler) roundTripper {
	return func(r *http.Request) (*http.Response, error) { return serve(handler, r) }
}

// serve returns the response of handler. A handler that panics with
// http.ErrAbortHandler closes the connection.
func serve(handler http.Handler, r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	request := r.Clone(r.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	isAborted := serveHTTP(handler, rec, request)
	switch {
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case isAborted && !rec.Flushed:
		return nil, io.EOF
	}
	resp := rec.Result()
	if isAborted || resp.ContentLength > int64(rec.Body.Len()) {
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return resp, nil
}

func serveHTTP(handler http.Handler, w http.ResponseWriter, r *http.Request) (isAborted bool) {
	defer func() {
		p := recover()
		isAborted = p == http.ErrAbortHandler //nolint:errorlint // the value of a panic is not wrapped
		if p != nil && !isAborted {
			panic(p)
		}
	}()
	handler.ServeHTTP(w, r)
	return false
}

// counted checks that every response body of rt is closed.
func counted(t *testing.T, rt http.RoundTripper) http.RoundTripper {
	t.Helper()
	var open atomic.Int64
	t.Cleanup(func() { assert.Zero(t, open.Load(), "bodies left open") })
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(r)
		if err == nil && resp != nil && resp.Body != nil {
			open.Add(1)
			resp.Body = &countedBody{ReadCloser: resp.Body, closed: sync.OnceFunc(func() { open.Add(-1) })}
		}
		return resp, err
	})
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (b *countedBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// respond returns a handler with a JSON response.
func respond(status int, body string) http.HandlerFunc {
	return respondWith(status, body, "Content-Type", "application/json")
}

// respondWith returns a handler whose response has headers: names and values in turn.
func respondWith(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for pair := range slices.Chunk(headers, 2) {
			w.Header().Set(pair[0], pair[1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// newResponse returns the response of a transport.
func newResponse(status int, body string, header http.Header) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(h, header)
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// succeed is a handler with the expected response to each operation.
func succeed(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		respond(http.StatusCreated, webhookJSON(1))(w, r)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(r.URL.Path, "/webhooks"):
		respond(http.StatusOK, listJSON(1, 100, 2))(w, r)
	default:
		respond(http.StatusOK, webhookJSON(1))(w, r)
	}
}

func unavailable(w http.ResponseWriter, r *http.Request) {
	respond(http.StatusServiceUnavailable, `{"title":"Later."}`)(w, r)
}

// tooMany returns a handler that responds 429 with headers.
func tooMany(headers ...string) http.HandlerFunc {
	return respondWith(http.StatusTooManyRequests, `{"title":"Too many requests."}`, headers...)
}

// abort is a handler that closes the connection.
func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// A script serves each request with the next handler, and all later requests with the
// last handler. The requests are recorded.
type script struct {
	handlers []http.HandlerFunc

	mu     sync.Mutex
	times  []time.Time
	urls   []string
	heads  []http.Header
	bodies []string
}

func newScript(handlers ...http.HandlerFunc) *script { return &script{handlers: handlers} }

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	s.urls = append(s.urls, r.URL.String())
	s.heads = append(s.heads, r.Header.Clone())
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	s.handlers[min(n, len(s.handlers)-1)](w, r)
}

// requests returns the number of requests.
func (s *script) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// waits returns the times between the requests.
func (s *script) waits() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for i := 1; i < len(s.times); i++ {
		all = append(all, s.times[i].Sub(s.times[i-1]))
	}
	return all
}

// An operation is a method of Client, for tests of all methods.
type operation struct {
	name   string
	op     string // Error.Op; empty for the generated client
	status int    // of a success
	call   func(context.Context, *facade.Client) error
}

var operations = []operation{
	{"create", "CreateWebhook", http.StatusCreated, createWebhook},
	{"get", "GetWebhook", http.StatusOK, getWebhook},
	{"delete", "DeleteWebhook", http.StatusNoContent, func(ctx context.Context, c *facade.Client) error {
		return c.DeleteWebhook(ctx, webhookID)
	}},
	{"list", "ListWebhooks", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.ListWebhooks(ctx, facade.ListOptions{})
		return err
	}},
	{"iterate", "ListWebhooks", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := facade.Collect(c.Webhooks(ctx, facade.ListOptions{}))
		return err
	}},
}

// rawOperations are the operations of the generated client.
var rawOperations = []operation{
	{"raw create", "", http.StatusCreated, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().CreateWebhookWithResponse(ctx, gen.WebhookCreation{URL: validParams.URL, Events: validParams.Events})
		return err
	}},
	{"raw get", "", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().GetWebhookWithResponse(ctx, "w")
		return err
	}},
	{"raw delete", "", http.StatusNoContent, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().DeleteWebhookWithResponse(ctx, "w")
		return err
	}},
	{"raw list", "", http.StatusOK, func(ctx context.Context, c *facade.Client) error {
		_, err := c.Raw().ListWebhooksWithResponse(ctx, nil)
		return err
	}},
}

var (
	allOperations = slices.Concat(operations, rawOperations)
	// distinctOperations differ in their method and in their success.
	distinctOperations = operations[:3]
)

func createWebhook(ctx context.Context, c *facade.Client) error {
	_, err := c.CreateWebhook(ctx, validParams)
	return err
}

func getWebhook(ctx context.Context, c *facade.Client) error {
	_, err := c.GetWebhook(ctx, webhookID)
	return err
}

// asError returns the *facade.Error in err.
func asError(t *testing.T, err error) *facade.Error {
	t.Helper()
	var e *facade.Error
	require.ErrorAs(t, err, &e)
	return e
}

// checkErrorText checks the properties that the text of every error has.
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	text := asError(t, err).Error()
	assert.True(t, strings.HasPrefix(text, "apivideo: "), text)
	assert.False(t, strings.ContainsFunc(text, unicode.IsControl), "%q", text)
	assert.Less(t, utf8.RuneCountInString(text), 8000)
}

// logJSON returns v as a JSON handler of log/slog prints v.
func logJSON(t *testing.T, v any) string {
	t.Helper()
	var buf bytes.Buffer
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", slog.Any("v", v))
	var line struct {
		V json.RawMessage `json:"v"`
	}
	require.NoError(t, json.Unmarshal(buf.Bytes(), &line))
	return string(line.V)
}

// The URLs in the notation of parse begin with hooks. The letters A, B and C are events.
const (
	hooks = "https://hooks.example.com/"

	eventA = facade.EventVideoEncodingQualityCompleted
	eventB = facade.EventVideoSourceRecorded
	eventC = facade.EventVideoCaptionGenerated
)

var eventLetters = map[rune]facade.EventType{'A': eventA, 'B': eventB, 'C': eventC}

type paramsList = []facade.CreateWebhookParams

func newCreation(url string, events ...facade.EventType) facade.CreateWebhookParams {
	return facade.CreateWebhookParams{URL: url, Events: events}
}

// parse returns the parameters of webhooks. "a:AB b:C" has the URL a with the events A and
// B, and the URL b with the event C.
func parse(text string) paramsList {
	var all paramsList
	for field := range strings.FieldsSeq(text) {
		path, letters, _ := strings.Cut(field, ":")
		p := newCreation(hooks + path)
		for _, letter := range letters {
			p.Events = append(p.Events, eventLetters[letter])
		}
		all = append(all, p)
	}
	return all
}

// format is the inverse of parse. Webhooks and events are sorted.
func format(all paramsList) string {
	var fields []string
	for _, p := range all {
		events := strings.Map(func(letter rune) rune {
			if slices.Contains(p.Events, eventLetters[letter]) {
				return letter
			}
			return -1
		}, "ABC")
		fields = append(fields, strings.TrimPrefix(p.URL, hooks)+":"+events)
	}
	slices.Sort(fields)
	return strings.Join(fields, " ")
}

func formatWebhooks(webhooks []facade.Webhook) string {
	var all paramsList
	for _, wh := range webhooks {
		all = append(all, newCreation(wh.URL, wh.Events...))
	}
	return format(all)
}

// An account is a fake server without limits that has webhooks, and a client.
type account struct {
	*facadetest.Server
	client *facade.Client
	held   []*facade.Webhook // at first, oldest first
	ids    []string          // of held
}

// newAccount returns an account with webhooks. Each webhook is a second younger than the
// previous webhook, unless an option sets another clock.
func newAccount(t *testing.T, held paramsList, opts ...facadetest.Option) *account {
	t.Helper()
	opts = append([]facadetest.Option{
		facadetest.WithRateLimit(0, 0), facadetest.WithWebhookLimit(0), facadetest.WithClock(newClock(time.Second)),
	}, opts...)
	a := &account{Server: facadetest.NewServer(opts...)}
	t.Cleanup(a.Close)
	a.client = a.clientWith(counted(t, inMemory(a)))
	for _, p := range held {
		wh, err := a.client.CreateWebhook(t.Context(), p)
		require.NoError(t, err)
		a.held = append(a.held, wh)
	}
	a.ids = idsOf(a.held)
	return a
}

// newClock returns a clock that moves by step, or back, with each call.
func newClock(step time.Duration) func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return time.Unix(1_000_000_000, 0).Add(time.Duration(ticks.Add(1)) * step) }
}

func (a *account) clientWith(rt http.RoundTripper, opts ...facade.Option) *facade.Client {
	return a.Client(append(opts, facade.WithHTTPClient(&http.Client{Transport: rt}))...)
}

// calls returns the requests since the account was filled.
func (a *account) calls() []string {
	var all []string
	for _, r := range a.Requests()[len(a.held):] {
		all = append(all, r.Method+" "+r.Path)
	}
	return all
}

const (
	listRequest   = "GET /webhooks"
	createRequest = "POST /webhooks"
)

func isCreate(r *http.Request) bool { return r.Method == http.MethodPost }

// String returns the webhooks in the notation of parse.
func (a *account) String() string { return formatWebhooks(a.Webhooks()) }

// notifies returns the desired notifications, each an event for a URL, that the webhooks
// of the account have.
func (a *account) notifies(desired paramsList) map[string]bool {
	all := make(map[string]bool)
	webhooks := a.Webhooks()
	for _, p := range desired {
		for _, event := range p.Events {
			isHeld := func(wh facade.Webhook) bool { return wh.URL == p.URL && slices.Contains(wh.Events, event) }
			if slices.ContainsFunc(webhooks, isHeld) {
				all[p.URL+" "+string(event)] = true
			}
		}
	}
	return all
}

func containsAll(all, some map[string]bool) bool {
	for key := range some {
		if !all[key] {
			return false
		}
	}
	return true
}

func idsOf(webhooks []*facade.Webhook) []string {
	ids := make([]string, len(webhooks))
	for i, wh := range webhooks {
		ids[i] = wh.ID
	}
	return ids
}

// at returns the elements with the indexes.
func at[T any](all []T, indexes []int) []T {
	var some []T
	for _, i := range indexes {
		some = append(some, all[i])
	}
	return some
}

// newPipeTransport returns a transport for a synctest bubble. Its connections to a
// server with handler are pipes.
func newPipeTransport(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	conns := make(chan net.Conn)
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(pipeListener{conns: conns}) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case conns <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		close(conns)
		_ = server.Close()
	})
	return transport
}

// A pipeListener accepts the connections of a channel until the channel is closed.
type pipeListener struct {
	net.Listener // nil
	conns        chan net.Conn
}

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (pipeListener) Close() error { return nil }

// A syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func webhookJSON(n int) string {
	return fmt.Sprintf(`{"webhookId":"webhook_%022d","createdAt":"2024-08-08T14:12:18+00:00",`+
		`"events":["video.encoding.quality.completed","video.source.recorded"],`+
		`"url":"https://hooks.example.com/apivideo/%d","signatureSecret":"sig_sec_%022d"}`, n, n, n)
}

// pageJSON returns a page of a list.
func pageJSON(webhooks string, number, size, pages, items any) string {
	const format = `{"data":[%s],"pagination":{"currentPage":%v,"pageSize":%v,"pagesTotal":%v,"itemsTotal":%v}}`
	return fmt.Sprintf(format, webhooks, number, size, pages, items)
}

// listJSON returns a page of a list that has total webhooks.
func listJSON(page, size, total int) string {
	var items []string
	for i := (page - 1) * size; i < min(page*size, total); i++ {
		items = append(items, webhookJSON(i))
	}
	return pageJSON(strings.Join(items, ","), page, size, (total+size-1)/size, total)
}

// TestMain fails if a test leaks a goroutine.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http logs bytes after the end of a body
	goleak.VerifyTestMain(m)
}
