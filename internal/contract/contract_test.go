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

// recorder is a testing.TB that records the reported errors.
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

// roundTripperFunc is a RoundTripper that calls the function.
type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// exchange is a request and its response.
type exchange struct {
	method, target string
	header         http.Header
	requestBody    string
	status         int
	responseHeader http.Header
	responseBody   string
}

var basic = http.Header{"Authorization": {"Basic a2V5Og=="}} // key:

func create() exchange {
	return exchange{
		method:         http.MethodPost,
		target:         "/webhooks",
		header:         withHeader(basic, "Content-Type", "application/json"),
		requestBody:    creation,
		status:         http.StatusCreated,
		responseHeader: http.Header{"Content-Type": {"application/json"}, "X-Ratelimit-Limit": {"40"}},
		responseBody:   webhook,
	}
}

func get() exchange {
	e := create()
	e.method, e.target, e.header, e.requestBody, e.status = http.MethodGet, "/webhooks/webhook_1", basic, "", http.StatusOK
	return e
}

func listing() exchange {
	e := get()
	e.target, e.responseBody = "/webhooks?events=video.new&currentPage=2&pageSize=100", list
	return e
}

func remove() exchange {
	e := get()
	e.method, e.status, e.responseBody = http.MethodDelete, http.StatusNoContent, ""
	e.responseHeader = http.Header{"X-Ratelimit-Remaining": {"39"}}
	return e
}

func token(target, requestBody string) exchange {
	e := create()
	e.target, e.requestBody, e.status, e.responseBody = target, requestBody, http.StatusOK, tokens
	e.header = http.Header{"Content-Type": {"application/json"}}
	return e
}

// withHeader returns a copy of header with another value for one name.
func withHeader(header http.Header, name, value string) http.Header {
	header = header.Clone()
	header.Set(name, value)
	return header
}

// edit returns the exchange that f makes of e.
func edit(e exchange, f func(*exchange)) exchange {
	f(&e)
	return e
}

// validate sends e through a contract.Transport and returns the reported errors.
func validate(t *testing.T, e exchange) []string {
	t.Helper()
	return validateWith(t, contract.Transport, e)
}

// validateWith sends e through the RoundTripper of wrap and returns the reported
// errors. It asserts that both sides receive the exchange unchanged.
func validateWith(t *testing.T, wrap func(testing.TB, http.RoundTripper) http.RoundTripper, e exchange) []string {
	t.Helper()
	var tb recorder
	transport := wrap(&tb, roundTripperFunc(func(req *http.Request) (*http.Response, error) {
		assert.Equal(t, e.method, req.Method)
		assert.Equal(t, "http://127.0.0.1:8080"+e.target, req.URL.String())
		assert.Equal(t, e.header, req.Header)
		if e.requestBody != "" {
			sent, err := io.ReadAll(req.Body)
			assert.NoError(t, err)
			assert.Equal(t, e.requestBody, string(sent))
			assert.Equal(t, int64(len(e.requestBody)), req.ContentLength)
		}
		return &http.Response{
			StatusCode: e.status,
			Header:     e.responseHeader,
			Body:       io.NopCloser(strings.NewReader(e.responseBody)),
			Request:    req,
		}, nil
	}))

	var body io.Reader
	if e.requestBody != "" {
		body = strings.NewReader(e.requestBody)
	}
	req, err := http.NewRequestWithContext(t.Context(), e.method, "http://127.0.0.1:8080"+e.target, body)
	require.NoError(t, err)
	req.Header = e.header
	before := *req
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	assert.Equal(t, before.Body, req.Body, "the RoundTripper changed the request")
	assert.Equal(t, before.URL, req.URL)
	assert.Same(t, req, resp.Request)
	assert.Equal(t, e.status, resp.StatusCode)
	assert.Equal(t, e.responseHeader, resp.Header)
	received, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, e.responseBody, string(received))
	return tb.reports
}

func TestTransport_validExchange(t *testing.T) {
	t.Parallel()
	tests := map[string]exchange{
		"create": create(),
		"unknown event": edit(create(), func(e *exchange) {
			e.requestBody = `{"url":"https://hooks.example.com","events":["video.new"]}`
			e.responseBody = `{"webhookId":"w","events":["video.new"]}`
		}),
		"list with every parameter": listing(),
		"list without parameters":   edit(listing(), func(e *exchange) { e.target = "/webhooks" }),
		"get":                       get(),
		"ID with an escaped slash":  edit(get(), func(e *exchange) { e.target = "/webhooks/a%2Fb" }),
		"delete":                    remove(),
		"bearer token":              edit(get(), func(e *exchange) { e.header = http.Header{"Authorization": {"Bearer t"}} }),
		"key exchange":              token("/auth/api-key", `{"apiKey":"key"}`),
		"token refresh":             token("/auth/refresh", `{"refreshToken":"r"}`),
		"media type with a charset": edit(get(), func(e *exchange) {
			e.responseHeader = withHeader(e.responseHeader, "Content-Type", "application/json; charset=utf-8")
		}),
		"error with a null name":               edit(get(), func(e *exchange) { e.status, e.responseBody = http.StatusNotFound, notFound }),
		"server error documented by its range": edit(get(), func(e *exchange) { e.status, e.responseBody = http.StatusBadGateway, `{"title":"Server error"}` }),
		"response without rate limit headers":  edit(get(), func(e *exchange) { e.responseHeader = http.Header{"Content-Type": {"application/json"}} }),
		"undocumented field":                   edit(get(), func(e *exchange) { e.responseBody = `{"webhookId":"w","color":"red"}` }),
		"undocumented header":                  edit(get(), func(e *exchange) { e.responseHeader = withHeader(e.responseHeader, "Retry-After", "soon") }),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, validate(t, e))
		})
	}
}

func TestTransport_invalidRequest(t *testing.T) {
	t.Parallel()
	authorized := func(value string) func(*exchange) {
		return func(e *exchange) { e.header = http.Header{"Authorization": {value}} }
	}
	tests := map[string]struct {
		exchange exchange
		want     string
	}{
		"unknown path":                       {edit(get(), func(e *exchange) { e.target = "/hooks" }), "no matching operation was found"},
		"path below an operation":            {edit(get(), func(e *exchange) { e.target = "/webhooks/a/b" }), "no matching operation was found"},
		"empty ID":                           {edit(get(), func(e *exchange) { e.target = "/webhooks/" }), "no matching operation was found"},
		"unsupported method":                 {edit(create(), func(e *exchange) { e.method = http.MethodPut }), "method not allowed"},
		"currentPage 0":                      {edit(listing(), func(e *exchange) { e.target = "/webhooks?currentPage=0" }), `parameter "currentPage" in query`},
		"currentPage in words":               {edit(listing(), func(e *exchange) { e.target = "/webhooks?currentPage=one" }), `parameter "currentPage" in query`},
		"pageSize 101":                       {edit(listing(), func(e *exchange) { e.target = "/webhooks?pageSize=101" }), `parameter "pageSize" in query`},
		"unknown parameter":                  {edit(listing(), func(e *exchange) { e.target = "/webhooks?page=2" }), `query parameter "page" is not documented`},
		"duplicate parameter":                {edit(listing(), func(e *exchange) { e.target = "/webhooks?events=a&events=b" }), `query parameter "events" is sent 2 times`},
		"no credentials":                     {edit(get(), func(e *exchange) { e.header = http.Header{} }), "security requirements failed"},
		"unknown authentication scheme":      {edit(get(), authorized("Digest a2V5Og==")), "the Basic credentials are missing"},
		"Basic with an empty key":            {edit(get(), authorized("Basic Og==")), "the user name, which is the API key, is empty"},
		"Basic with a password":              {edit(get(), authorized("Basic a2V5OnBhc3M=")), "the password is not empty"},
		"Bearer without a token":             {edit(get(), authorized("Bearer  ")), "the Bearer token is missing"},
		"key exchange with credentials":      {edit(token("/auth/api-key", `{"apiKey":"k"}`), func(e *exchange) { e.header = withHeader(e.header, "Authorization", "Basic a2V5Og==") }), "has no credentials"},
		"token refresh with credentials":     {edit(token("/auth/refresh", `{"refreshToken":"r"}`), func(e *exchange) { e.header = withHeader(e.header, "Authorization", "Bearer t") }), "has no credentials"},
		"key exchange without a key":         {token("/auth/api-key", `{}`), "missing property 'apiKey'"},
		"token refresh without a token":      {token("/auth/refresh", `{"refresh_token":"r"}`), "missing property 'refreshToken'"},
		"create without a URL":               {edit(create(), func(e *exchange) { e.requestBody = `{"events":["a"]}` }), `"url"`},
		"create without an event":            {edit(create(), func(e *exchange) { e.requestBody = `{"url":"https://a.example","events":[]}` }), "minimum number of items is 1"},
		"create with events as a string":     {edit(create(), func(e *exchange) { e.requestBody = `{"url":"https://a.example","events":"video.new"}` }), "value must be an array"},
		"create with a URL without a scheme": {edit(create(), func(e *exchange) { e.requestBody = `{"url":"a.example","events":["a"]}` }), "doesn't match the regular expression"},
		"malformed JSON":                     {edit(create(), func(e *exchange) { e.requestBody = `url=a` }), "failed to decode request body"},
		"content type text/plain":            {edit(create(), func(e *exchange) { e.header = withHeader(e.header, "Content-Type", "text/plain") }), "header Content-Type has unexpected value"},
		"missing body":                       {edit(create(), func(e *exchange) { e.requestBody = "" }), "value is required but missing"},
		"body of a get":                      {edit(get(), func(e *exchange) { e.requestBody = creation }), "request body not allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports := validate(t, test.exchange)
			require.Len(t, reports, 1)
			assert.Contains(t, reports[0], "the request violates openapi.yaml")
			assert.Contains(t, reports[0], test.want)
		})
	}
}

func TestTransport_invalidResponse(t *testing.T) {
	t.Parallel()
	response := func(status int, body string) func(*exchange) {
		return func(e *exchange) { e.status, e.responseBody = status, body }
	}
	header := func(name, value string) func(*exchange) {
		return func(e *exchange) { e.responseHeader = withHeader(e.responseHeader, name, value) }
	}
	tests := map[string]struct {
		exchange exchange
		want     string
	}{
		"status of another operation":     {edit(create(), response(http.StatusOK, webhook)), "the status is not documented"},
		"undocumented status":             {edit(get(), response(http.StatusTeapot, `{}`)), "the status is not documented"},
		"undocumented redirect":           {edit(get(), response(http.StatusTemporaryRedirect, ``)), "the status is not documented"},
		"undocumented 304":                {edit(get(), response(http.StatusNotModified, ``)), "the status is not documented"},
		"limit in words":                  {edit(get(), header("X-RateLimit-Limit", "many")), `header "X-RateLimit-Limit"`},
		"negative remainder":              {edit(remove(), header("X-RateLimit-Remaining", "-1")), `header "X-RateLimit-Remaining"`},
		"fractional Retry-After":          {edit(listing(), header("X-RateLimit-Retry-After", "12.5")), `header "X-RateLimit-Retry-After"`},
		"error with a limit in words":     {edit(get(), func(e *exchange) { header("X-RateLimit-Limit", "many")(e); response(http.StatusNotFound, notFound)(e) }), `header "X-RateLimit-Limit"`},
		"webhook without an ID":           {edit(get(), response(http.StatusOK, `{"url":"https://a.example"}`)), `"webhookId"`},
		"webhook with a malformed date":   {edit(create(), response(http.StatusCreated, `{"webhookId":"w","createdAt":"yesterday"}`)), `"date-time"`},
		"webhook with events as a string": {edit(get(), response(http.StatusOK, `{"webhookId":"w","events":"video.new"}`)), "value must be an array"},
		"list without pagination":         {edit(listing(), response(http.StatusOK, `{"data":[]}`)), `"pagination"`},
		"list with an invalid webhook":    {edit(listing(), response(http.StatusOK, strings.ReplaceAll(list, "webhookId", "id"))), `"webhookId"`},
		"links as a string":               {edit(listing(), response(http.StatusOK, strings.ReplaceAll(list, `"links":{}`, `"links":""`))), `"/pagination/links"`},
		"tokens without an access token":  {edit(token("/auth/api-key", `{"apiKey":"k"}`), response(http.StatusOK, `{"token_type":"Bearer"}`)), `access_token`},
		"error with a number as name":     {edit(get(), response(http.StatusNotFound, `{"name":7}`)), `"/name"`},
		"malformed JSON":                  {edit(get(), response(http.StatusOK, `{"webhookId":`)), "failed to decode response body"},
		"missing body":                    {edit(get(), response(http.StatusOK, ``)), "failed to decode response body"},
		"content type text/html":          {edit(get(), header("Content-Type", "text/html")), "header Content-Type has unexpected value"},
		"content type application/problem+json": {edit(get(), func(e *exchange) {
			header("Content-Type", "application/problem+json")(e)
			response(http.StatusNotFound, notFound)(e)
		}), "header Content-Type has unexpected value"},
		"body of a delete":           {edit(remove(), response(http.StatusNoContent, webhook)), "the response has a body, but none is documented"},
		"array instead of an object": {edit(get(), response(http.StatusOK, `[]`)), "value must be an object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports := validate(t, test.exchange)
			require.Len(t, reports, 1)
			assert.Contains(t, reports[0], "the response "+strconv.Itoa(test.exchange.status)+" violates openapi.yaml")
			assert.Contains(t, reports[0], test.want)
		})
	}
}

func TestTransport_undocumentedBodyWithoutLength(t *testing.T) {
	t.Parallel()
	var tb recorder
	transport := contract.Transport(&tb, roundTripperFunc(func(req *http.Request) (*http.Response, error) {
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

func TestTransport_invalidRequestAndResponse(t *testing.T) {
	t.Parallel()
	reports := validate(t, edit(get(), func(e *exchange) { e.header, e.responseBody = http.Header{}, `{}` }))
	require.Len(t, reports, 2)
	assert.Contains(t, reports[0], "the request violates")
	assert.Contains(t, reports[1], "the response 200 violates")
}

func TestRequestsAndResponses_validateOneSide(t *testing.T) {
	t.Parallel()
	badRequest := func(e *exchange) { e.header = http.Header{} }
	badResponse := func(e *exchange) { e.responseBody = `{}` }
	noOperation := func(e *exchange) { e.target = "/hooks" }
	const request, response = "the request violates openapi.yaml", "the response 200 violates openapi.yaml"
	tests := map[string]struct {
		exchange            exchange
		requests, responses string // expected part of the report, empty for none
	}{
		"valid exchange":                         {exchange: get()},
		"invalid request":                        {exchange: edit(get(), badRequest), requests: request},
		"invalid request body":                   {exchange: edit(create(), func(e *exchange) { e.requestBody = `{}` }), requests: request},
		"invalid response":                       {exchange: edit(get(), badResponse), responses: response},
		"invalid request and response":           {exchange: edit(edit(get(), badRequest), badResponse), requests: request, responses: response},
		"unknown operation":                      {exchange: edit(get(), noOperation), requests: request},
		"unknown operation and invalid response": {exchange: edit(edit(get(), noOperation), badResponse), requests: request},
		"undocumented status":                    {exchange: edit(get(), func(e *exchange) { e.status = http.StatusTeapot }), responses: "the status is not documented"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertReport(t, test.requests, validateWith(t, contract.Requests, test.exchange))
			assertReport(t, test.responses, validateWith(t, contract.Responses, test.exchange))
		})
	}
}

// assertReport asserts that reports has one entry that contains want. An empty
// want means no entry.
func assertReport(t *testing.T, want string, reports []string) {
	t.Helper()
	if want == "" {
		assert.Empty(t, reports)
	} else if assert.Len(t, reports, 1) {
		assert.Contains(t, reports[0], want)
	}
}

func TestRequestsAndResponses_leaveOtherBodyUnread(t *testing.T) {
	t.Parallel()

	t.Run("response", func(t *testing.T) {
		t.Parallel()
		var body endlessBody
		transport := contract.Requests(t, roundTripperFunc(func(*http.Request) (*http.Response, error) {
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

	t.Run("request", func(t *testing.T) {
		t.Parallel()
		var body endlessBody
		transport := contract.Responses(t, roundTripperFunc(func(req *http.Request) (*http.Response, error) {
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

func TestTransport_truncatedBody(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limit   string
		reports int
	}{
		"valid headers":  {limit: "100"},
		"invalid header": {limit: "many", reports: 1},
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

// endlessBody is a body without an end. It counts the bytes that were read.
type endlessBody struct {
	read   int
	closed bool
}

func (b *endlessBody) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	b.read += len(p)
	return len(p), nil
}

func (b *endlessBody) Close() error {
	b.closed = true
	return nil
}

func TestTransport_endlessBody(t *testing.T) {
	t.Parallel()
	var (
		tb   recorder
		body endlessBody
	)
	transport := contract.Transport(&tb, roundTripperFunc(func(*http.Request) (*http.Response, error) {
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

func TestTransport_returnsErrors(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")

	t.Run("error of the request body", func(t *testing.T) {
		t.Parallel()
		var tb recorder
		transport := contract.Transport(&tb, roundTripperFunc(func(req *http.Request) (*http.Response, error) {
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

	t.Run("error of the next transport", func(t *testing.T) {
		t.Parallel()
		var tb recorder
		transport := contract.Transport(&tb, roundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, failure }))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/hooks", http.NoBody)
		require.NoError(t, err)
		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, failure)
		assert.Len(t, tb.reports, 1)
	})
}

func TestTransport_concurrentUse(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sent, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		assert.Equal(t, creation, string(sent))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, req.Header.Get("X-Response-Body"))
	}))
	t.Cleanup(server.Close)

	var tb recorder
	client := &http.Client{Transport: contract.Transport(&tb, server.Client().Transport)}
	var wg sync.WaitGroup
	for i := range 40 {
		want := webhook
		if i%2 == 1 {
			want = `{}`
		}
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhooks", strings.NewReader(creation))
			if !assert.NoError(t, err) {
				return
			}
			req.Header = withHeader(create().header, "X-Response-Body", want)
			resp, err := client.Do(req)
			if !assert.NoError(t, err) {
				return
			}
			body, err := io.ReadAll(resp.Body)
			assert.NoError(t, err)
			assert.NoError(t, resp.Body.Close())
			assert.Equal(t, want, string(body))
		})
	}
	wg.Wait()
	assert.Len(t, tb.reports, 20)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	require.NoError(t, doc.Validate(t.Context()))
	assert.True(t, doc.IsOpenAPI31OrLater())
	assert.Equal(t, 4, doc.Paths.Len())
	assert.NotEmpty(t, doc.Servers, "the router changed the document")
	assert.Same(t, doc, contract.Load(t))
}
