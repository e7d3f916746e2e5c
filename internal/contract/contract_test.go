package contract_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/internal/contract"
)

const (
	creation = `{"url":"https://hooks.example.com/apivideo","events":["video.encoding.quality.completed"]}`
	webhook  = `{"webhookId":"webhook_4XbQpGz7mWkT2nVr8sYcLd","createdAt":"2024-08-08T14:12:18+00:00"}`
	list     = `{"data":[` + webhook + `],"pagination":{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":1,"itemsTotal":1,"links":{}}}`
	notFound = `{"type":"https://docs.api.video/reference/resource-not-found","title":"Not found.","name":null,"status":404}`
	tokens   = `{"token_type":"Bearer","expires_in":3600,"access_token":"a","refresh_token":"r"}`
)

// recorder is a testing.TB that keeps what is reported to it.
type recorder struct {
	testing.TB

	mu      sync.Mutex
	reports []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

// roundTrip is a RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// exchange is a request and its response. What it leaves out stands in that of
// a good creation.
type exchange struct {
	method, target string
	header         http.Header
	sent           string
	status         int
	respHeader     http.Header
	answered       string
}

var basic = http.Header{"Authorization": {"Basic a2V5Og=="}} // key:

func create() exchange {
	return exchange{
		method:     http.MethodPost,
		target:     "/webhooks",
		header:     with(basic, "Content-Type", "application/json"),
		sent:       creation,
		status:     http.StatusCreated,
		respHeader: http.Header{"Content-Type": {"application/json"}, "X-Ratelimit-Limit": {"40"}},
		answered:   webhook,
	}
}

func get() exchange {
	e := create()
	e.method, e.target, e.header, e.sent, e.status = http.MethodGet, "/webhooks/webhook_1", basic, "", http.StatusOK
	return e
}

func listing() exchange {
	e := get()
	e.target, e.answered = "/webhooks?events=video.new&currentPage=2&pageSize=100", list
	return e
}

func remove() exchange {
	e := get()
	e.method, e.status, e.answered = http.MethodDelete, http.StatusNoContent, ""
	e.respHeader = http.Header{"X-Ratelimit-Remaining": {"39"}}
	return e
}

func token(target, sent string) exchange {
	e := create()
	e.target, e.sent, e.status, e.answered = target, sent, http.StatusOK, tokens
	e.header = http.Header{"Content-Type": {"application/json"}}
	return e
}

// with returns header with another value for one name.
func with(header http.Header, name, value string) http.Header {
	header = header.Clone()
	header.Set(name, value)
	return header
}

// but returns e changed by change.
func but(e exchange, change func(*exchange)) exchange {
	change(&e)
	return e
}

// run sends e over a contract.Transport and returns what is reported.
func run(t *testing.T, e exchange) []string {
	t.Helper()
	return runOver(t, contract.Transport, e)
}

// runOver sends e over what wrap makes, shows that both sides see it as it is,
// and returns what is reported.
func runOver(t *testing.T, wrap func(testing.TB, http.RoundTripper) http.RoundTripper, e exchange) []string {
	t.Helper()
	var tb recorder
	transport := wrap(&tb, roundTrip(func(req *http.Request) (*http.Response, error) {
		assert.Equal(t, e.method, req.Method)
		assert.Equal(t, "http://127.0.0.1:8080"+e.target, req.URL.String())
		assert.Equal(t, e.header, req.Header)
		if e.sent != "" {
			sent, err := io.ReadAll(req.Body)
			assert.NoError(t, err)
			assert.Equal(t, e.sent, string(sent))
			assert.Equal(t, int64(len(e.sent)), req.ContentLength)
		}
		return &http.Response{
			StatusCode: e.status,
			Header:     e.respHeader,
			Body:       io.NopCloser(strings.NewReader(e.answered)),
			Request:    req,
		}, nil
	}))

	var body io.Reader
	if e.sent != "" {
		body = strings.NewReader(e.sent)
	}
	req, err := http.NewRequestWithContext(t.Context(), e.method, "http://127.0.0.1:8080"+e.target, body)
	require.NoError(t, err)
	req.Header = e.header
	before := *req
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	assert.Equal(t, before.Body, req.Body, "a RoundTripper must not change the request")
	assert.Equal(t, before.URL, req.URL)
	assert.Same(t, req, resp.Request)
	assert.Equal(t, e.status, resp.StatusCode)
	assert.Equal(t, e.respHeader, resp.Header)
	answered, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, e.answered, string(answered))
	return tb.reports
}

func TestTransportTakesWhatTheContractSays(t *testing.T) {
	t.Parallel()
	tests := map[string]exchange{
		"a creation": create(),
		"an event that is not in the enum": but(create(), func(e *exchange) {
			e.sent = `{"url":"https://hooks.example.com","events":["video.new"]}`
			e.answered = `{"webhookId":"w","events":["video.new"]}`
		}),
		"a list with every parameter": listing(),
		"a list without parameters":   but(listing(), func(e *exchange) { e.target = "/webhooks" }),
		"a get":                       get(),
		"an id with an escaped slash": but(get(), func(e *exchange) { e.target = "/webhooks/a%2Fb" }),
		"a deletion":                  remove(),
		"a bearer token":              but(get(), func(e *exchange) { e.header = http.Header{"Authorization": {"Bearer t"}} }),
		"an exchange of a key":        token("/auth/api-key", `{"apiKey":"key"}`),
		"a renewal":                   token("/auth/refresh", `{"refreshToken":"r"}`),
		"a charset in the media type": but(get(), func(e *exchange) {
			e.respHeader = with(e.respHeader, "Content-Type", "application/json; charset=utf-8")
		}),
		"an error whose name is null":    but(get(), func(e *exchange) { e.status, e.answered = http.StatusNotFound, notFound }),
		"a server error by its range":    but(get(), func(e *exchange) { e.status, e.answered = http.StatusBadGateway, `{"title":"Server error"}` }),
		"an answer without rate limit":   but(get(), func(e *exchange) { e.respHeader = http.Header{"Content-Type": {"application/json"}} }),
		"a member that is not described": but(get(), func(e *exchange) { e.answered = `{"webhookId":"w","color":"red"}` }),
		"a header that is not described": but(get(), func(e *exchange) { e.respHeader = with(e.respHeader, "Retry-After", "soon") }),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, run(t, e))
		})
	}
}

func TestTransportReportsEveryOtherRequest(t *testing.T) {
	t.Parallel()
	authorized := func(value string) func(*exchange) {
		return func(e *exchange) { e.header = http.Header{"Authorization": {value}} }
	}
	tests := map[string]struct {
		exchange exchange
		want     string
	}{
		"a path that is not there":      {but(get(), func(e *exchange) { e.target = "/hooks" }), "no matching operation was found"},
		"a path below an operation":     {but(get(), func(e *exchange) { e.target = "/webhooks/a/b" }), "no matching operation was found"},
		"an empty id":                   {but(get(), func(e *exchange) { e.target = "/webhooks/" }), "no matching operation was found"},
		"a method the path lacks":       {but(create(), func(e *exchange) { e.method = http.MethodPut }), "method not allowed"},
		"a page before the first":       {but(listing(), func(e *exchange) { e.target = "/webhooks?currentPage=0" }), `parameter "currentPage" in query`},
		"a page that is no number":      {but(listing(), func(e *exchange) { e.target = "/webhooks?currentPage=one" }), `parameter "currentPage" in query`},
		"a page that is too large":      {but(listing(), func(e *exchange) { e.target = "/webhooks?pageSize=101" }), `parameter "pageSize" in query`},
		"a parameter nobody knows":      {but(listing(), func(e *exchange) { e.target = "/webhooks?page=2" }), `query parameter "page" is not documented`},
		"a parameter sent twice":        {but(listing(), func(e *exchange) { e.target = "/webhooks?events=a&events=b" }), `query parameter "events" is sent 2 times`},
		"no credentials":                {but(get(), func(e *exchange) { e.header = http.Header{} }), "security requirements failed"},
		"a scheme nobody knows":         {but(get(), authorized("Digest a2V5Og==")), "there are no Basic credentials"},
		"Basic with an empty key":       {but(get(), authorized("Basic Og==")), "the user name, which is the API key, is empty"},
		"Basic with a password":         {but(get(), authorized("Basic a2V5OnBhc3M=")), "the password is not empty"},
		"Bearer without a token":        {but(get(), authorized("Bearer  ")), "there is no Bearer token"},
		"credentials to get a token":    {but(token("/auth/api-key", `{"apiKey":"k"}`), func(e *exchange) { e.header = with(e.header, "Authorization", "Basic a2V5Og==") }), "takes no credentials"},
		"credentials to renew a token":  {but(token("/auth/refresh", `{"refreshToken":"r"}`), func(e *exchange) { e.header = with(e.header, "Authorization", "Bearer t") }), "takes no credentials"},
		"an exchange without a key":     {token("/auth/api-key", `{}`), "missing property 'apiKey'"},
		"a renewal without a token":     {token("/auth/refresh", `{"refresh_token":"r"}`), "missing property 'refreshToken'"},
		"a creation without a url":      {but(create(), func(e *exchange) { e.sent = `{"events":["a"]}` }), `"url"`},
		"a creation without an event":   {but(create(), func(e *exchange) { e.sent = `{"url":"https://a.example","events":[]}` }), "minimum number of items is 1"},
		"a creation with an event name": {but(create(), func(e *exchange) { e.sent = `{"url":"https://a.example","events":"video.new"}` }), "value must be an array"},
		"a creation with half a url":    {but(create(), func(e *exchange) { e.sent = `{"url":"a.example","events":["a"]}` }), "doesn't match the regular expression"},
		"a body that is no JSON":        {but(create(), func(e *exchange) { e.sent = `url=a` }), "failed to decode request body"},
		"a body that calls itself text": {but(create(), func(e *exchange) { e.header = with(e.header, "Content-Type", "text/plain") }), "header Content-Type has unexpected value"},
		"no body where one is needed":   {but(create(), func(e *exchange) { e.sent = "" }), "value is required but missing"},
		"a body where none is taken":    {but(get(), func(e *exchange) { e.sent = creation }), "request body not allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports := run(t, test.exchange)
			require.Len(t, reports, 1)
			assert.Contains(t, reports[0], "the request is not what openapi.yaml says")
			assert.Contains(t, reports[0], test.want)
		})
	}
}

func TestTransportReportsEveryOtherResponse(t *testing.T) {
	t.Parallel()
	answered := func(status int, body string) func(*exchange) {
		return func(e *exchange) { e.status, e.answered = status, body }
	}
	header := func(name, value string) func(*exchange) {
		return func(e *exchange) { e.respHeader = with(e.respHeader, name, value) }
	}
	tests := map[string]struct {
		exchange exchange
		want     string
	}{
		"a status of another operation":   {but(create(), answered(http.StatusOK, webhook)), "status is not documented"},
		"a status nobody documented":      {but(get(), answered(http.StatusTeapot, `{}`)), "status is not documented"},
		"a redirect, left out by default": {but(get(), answered(http.StatusTemporaryRedirect, ``)), "status is not documented"},
		"not modified, left out likewise": {but(get(), answered(http.StatusNotModified, ``)), "status is not documented"},
		"a limit that is no number":       {but(get(), header("X-RateLimit-Limit", "many")), `header "X-RateLimit-Limit"`},
		"a remainder below zero":          {but(remove(), header("X-RateLimit-Remaining", "-1")), `header "X-RateLimit-Remaining"`},
		"a wait of half a second":         {but(listing(), header("X-RateLimit-Retry-After", "12.5")), `header "X-RateLimit-Retry-After"`},
		"an error's limit is no number":   {but(get(), func(e *exchange) { header("X-RateLimit-Limit", "many")(e); answered(http.StatusNotFound, notFound)(e) }), `header "X-RateLimit-Limit"`},
		"a webhook without an id":         {but(get(), answered(http.StatusOK, `{"url":"https://a.example"}`)), `"webhookId"`},
		"a webhook with a date in words":  {but(create(), answered(http.StatusCreated, `{"webhookId":"w","createdAt":"yesterday"}`)), `"date-time"`},
		"a webhook whose events are text": {but(get(), answered(http.StatusOK, `{"webhookId":"w","events":"video.new"}`)), "value must be an array"},
		"a list without its pagination":   {but(listing(), answered(http.StatusOK, `{"data":[]}`)), `"pagination"`},
		"a list with a faulty webhook":    {but(listing(), answered(http.StatusOK, strings.ReplaceAll(list, "webhookId", "id"))), `"webhookId"`},
		"links that are text":             {but(listing(), answered(http.StatusOK, strings.ReplaceAll(list, `"links":{}`, `"links":""`))), `"/pagination/links"`},
		"tokens without an access token":  {but(token("/auth/api-key", `{"apiKey":"k"}`), answered(http.StatusOK, `{"token_type":"Bearer"}`)), `access_token`},
		"an error whose name is a number": {but(get(), answered(http.StatusNotFound, `{"name":7}`)), `"/name"`},
		"a body that is no JSON":          {but(get(), answered(http.StatusOK, `{"webhookId":`)), "failed to decode response body"},
		"no body where one is documented": {but(get(), answered(http.StatusOK, ``)), "failed to decode response body"},
		"a body that calls itself HTML":   {but(get(), header("Content-Type", "text/html")), "header Content-Type has unexpected value"},
		"an error of older deployments": {but(get(), func(e *exchange) {
			header("Content-Type", "application/problem+json")(e)
			answered(http.StatusNotFound, notFound)(e)
		}), "header Content-Type has unexpected value"},
		"a body where none is documented": {but(remove(), answered(http.StatusNoContent, webhook)), "there is a body, but none is documented"},
		"an array in place of an object":  {but(get(), answered(http.StatusOK, `[]`)), "value must be an object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports := run(t, test.exchange)
			require.Len(t, reports, 1)
			assert.Contains(t, reports[0], "the response "+strconv.Itoa(test.exchange.status)+" is not what openapi.yaml says")
			assert.Contains(t, reports[0], test.want)
		})
	}
}

func TestTransportReportsABodyWhoseLengthIsNotAnnounced(t *testing.T) {
	t.Parallel()
	var tb recorder
	transport := contract.Transport(&tb, roundTrip(func(req *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		assert.Equal(t, "{}", string(sent))
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://127.0.0.1/webhooks/a", io.MultiReader(strings.NewReader("{}")))
	require.NoError(t, err)
	req.Header = basic
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, tb.reports, 1)
	assert.Contains(t, tb.reports[0], "request body not allowed")
}

func TestTransportReportsBothSidesOfAnExchange(t *testing.T) {
	t.Parallel()
	reports := run(t, but(get(), func(e *exchange) { e.header, e.answered = http.Header{}, `{}` }))
	require.Len(t, reports, 2)
	assert.Contains(t, reports[0], "the request is not")
	assert.Contains(t, reports[1], "the response 200 is not")
}

func TestRequestsAndResponsesCheckOneSideOnly(t *testing.T) {
	t.Parallel()
	badRequest := func(e *exchange) { e.header = http.Header{} }
	badResponse := func(e *exchange) { e.answered = `{}` }
	noOperation := func(e *exchange) { e.target = "/hooks" }
	const request, response = "the request is not what openapi.yaml says", "the response 200 is not what openapi.yaml says"
	tests := map[string]struct {
		exchange            exchange
		requests, responses string // what each reports, if it does
	}{
		"a good exchange":                     {exchange: get()},
		"a bad request":                       {exchange: but(get(), badRequest), requests: request},
		"a bad request body":                  {exchange: but(create(), func(e *exchange) { e.sent = `{}` }), requests: request},
		"a bad response":                      {exchange: but(get(), badResponse), responses: response},
		"both bad":                            {exchange: but(but(get(), badRequest), badResponse), requests: request, responses: response},
		"a request that is for no operation":  {exchange: but(get(), noOperation), requests: request},
		"an answer that is for no operation":  {exchange: but(but(get(), noOperation), badResponse), requests: request},
		"a status that nobody has documented": {exchange: but(get(), func(e *exchange) { e.status = http.StatusTeapot }), responses: "status is not documented"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reported(t, test.requests, runOver(t, contract.Requests, test.exchange))
			reported(t, test.responses, runOver(t, contract.Responses, test.exchange))
		})
	}
}

// reported asserts that reports are the one that has want in it, or none.
func reported(t *testing.T, want string, reports []string) {
	t.Helper()
	if want == "" {
		assert.Empty(t, reports)
	} else if assert.Len(t, reports, 1) {
		assert.Contains(t, reports[0], want)
	}
}

func TestTheSideThatIsNotCheckedIsNotRead(t *testing.T) {
	t.Parallel()

	t.Run("the response", func(t *testing.T) {
		t.Parallel()
		var body spaces
		transport := contract.Requests(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: &body}, nil
		}))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/webhooks", http.NoBody)
		require.NoError(t, err)
		req.Header = basic
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Same(t, &body, resp.Body)
		assert.Zero(t, body.read)
		require.NoError(t, resp.Body.Close())
	})

	t.Run("the request", func(t *testing.T) {
		t.Parallel()
		var body spaces
		transport := contract.Responses(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			assert.Same(t, &body, req.Body)
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
		}))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://127.0.0.1/webhooks/a", &body)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Zero(t, body.read)
	})
}

func TestTransportLeavesACutBodyCut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limit   string
		reports int
	}{
		"half a body is no violation":     {limit: "100"},
		"the headers are checked however": {limit: "many", reports: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", strconv.Itoa(len(webhook)))
				w.Header().Set("X-RateLimit-Limit", test.limit)
				_, _ = io.WriteString(w, webhook[:20])
			}))
			t.Cleanup(server.Close)

			var tb recorder
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/webhooks/webhook_1", http.NoBody)
			require.NoError(t, err)
			req.Header = basic
			resp, err := contract.Transport(&tb, server.Client().Transport).RoundTrip(req)
			require.NoError(t, err)
			defer func() { assert.NoError(t, resp.Body.Close()) }()
			body, err := io.ReadAll(resp.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, webhook[:20], string(body))
			assert.Len(t, tb.reports, test.reports)
		})
	}
}

// spaces is a body without end that knows how much of it was read and whether
// it was closed.
type spaces struct {
	read   int
	closed bool
}

func (s *spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	s.read += len(p)
	return len(p), nil
}

func (s *spaces) Close() error {
	s.closed = true
	return nil
}

func TestTransportLeavesAnEndlessBodyEndless(t *testing.T) {
	t.Parallel()
	var (
		tb   recorder
		body spaces
	)
	transport := contract.Transport(&tb, roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: &body}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/webhooks", http.NoBody)
	require.NoError(t, err)
	req.Header = basic
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	n, err := io.CopyN(io.Discard, resp.Body, 8<<20)
	require.NoError(t, err)
	assert.Equal(t, int64(8<<20), n)
	assert.False(t, body.closed)
	require.NoError(t, resp.Body.Close())
	assert.True(t, body.closed)
	assert.Empty(t, tb.reports)
}

func TestTransportPassesFailuresOn(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")

	t.Run("of a request body while it is read", func(t *testing.T) {
		t.Parallel()
		var tb recorder
		transport := contract.Transport(&tb, roundTrip(func(req *http.Request) (*http.Response, error) {
			sent, err := io.ReadAll(req.Body)
			assert.Equal(t, "{", string(sent))
			return nil, err
		}))
		body := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(failure))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/webhooks", body)
		require.NoError(t, err)
		req.Header = create().header
		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, failure)
		assert.Empty(t, tb.reports)
	})

	t.Run("of the next transport, and checks the request all the same", func(t *testing.T) {
		t.Parallel()
		var tb recorder
		transport := contract.Transport(&tb, roundTrip(func(*http.Request) (*http.Response, error) { return nil, failure }))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/hooks", http.NoBody)
		require.NoError(t, err)
		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, failure)
		assert.Len(t, tb.reports, 1)
	})
}

func TestTransportServesManyAtOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sent, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		assert.Equal(t, creation, string(sent))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, req.Header.Get("X-Answer"))
	}))
	t.Cleanup(server.Close)

	var tb recorder
	client := &http.Client{Transport: contract.Transport(&tb, server.Client().Transport)}
	var wg sync.WaitGroup
	for i := range 40 {
		answer := webhook
		if i%2 == 1 {
			answer = `{}`
		}
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhooks", strings.NewReader(creation))
			if !assert.NoError(t, err) {
				return
			}
			req.Header = with(create().header, "X-Answer", answer)
			resp, err := client.Do(req)
			if !assert.NoError(t, err) {
				return
			}
			body, err := io.ReadAll(resp.Body)
			assert.NoError(t, err)
			assert.NoError(t, resp.Body.Close())
			assert.Equal(t, answer, string(body))
		})
	}
	wg.Wait()
	assert.Len(t, tb.reports, 20)
}

func TestLoadReadsOpenAPI(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	assert.True(t, doc.IsOpenAPI31OrLater())
	assert.Equal(t, 4, doc.Paths.Len())
	assert.NotEmpty(t, doc.Servers, "a router without servers must not change the document")
	assert.Same(t, doc, contract.Load(t))
}
