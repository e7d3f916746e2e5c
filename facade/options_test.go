package facade_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// recorder is a transport that notes each request and never reaches the
// network. What answer leaves nil is a 200 with a webhook.
type recorder struct {
	answer func(*http.Request) *http.Response

	mu       sync.Mutex
	requests []*http.Request
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests = append(r.requests, req)
	r.mu.Unlock()
	if r.answer != nil {
		if resp := r.answer(req); resp != nil {
			return resp, nil
		}
	}
	return reply(http.StatusOK, webhookJSON(1), nil), nil
}

func (r *recorder) urls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, req := range r.requests {
		all = append(all, req.URL.String())
	}
	return all
}

// reply is an answer that a transport returns.
func reply(status int, body string, header http.Header) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(h, header)
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// get calls GetWebhook and requires that it succeeds.
func get(t *testing.T, client *facade.Client) {
	t.Helper()
	_, err := client.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
}

func TestWithBaseURLRefuses(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	tests := []struct {
		name string
		url  string
	}{
		{"empty", ""},
		{"relative", "/api"},
		{"without scheme", "ws.api.video"},
		{"without scheme, with a port", "localhost:8080"},
		{"scheme-relative", "//ws.api.video"},
		{"another scheme", "ftp://ws.api.video"},
		{"a websocket", "wss://ws.api.video"},
		{"opaque", "https:ws.api.video"},
		{"without host", "https:///api"},
		{"a port without host", "https://:443"},
		{"http to another machine, where the key would be readable", "http://ws.api.video"},
		{"http to any address", "http://0.0.0.0"},
		{"http to a private address", "http://192.168.0.1:8080"},
		{"http to a private address of IPv6", "http://[fe80::1]"},
		{"http to a host that begins with localhost", "http://localhost.example.com"},
		{"http to a host that begins with a loopback address", "http://127.0.0.1.example.com"},
		{"http to a host that ends in localhost", "http://evil-localhost"},
		{"http with localhost for a user", "http://localhost@ws.api.video"},
		{"a user", "https://" + password + "@ws.api.video"},
		{"a user and a password", "https://user:" + password + "@ws.api.video"},
		{"an empty user", "https://@ws.api.video"},
		{"a query", "https://ws.api.video/?a=" + password},
		{"a query that is empty", "https://ws.api.video?"},
		{"a fragment", "https://ws.api.video/#" + password},
		{"a fragment that is empty, behind which the path would be lost", "https://ws.api.video/api#"},
		{"unparsable with a password", "https://user:" + password + "@ws.api.video:port"},
		{"unparsable because of the password", "https://user:" + password + "%zz@ws.api.video"},
		{"a line end", "https://ws.api.video\n"},
		{"a space in front", " https://ws.api.video"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, err := facade.NewClient(testKey, once, facade.WithBaseURL(test.url))
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.Nil(t, client)
			assert.Contains(t, err.Error(), "base URL")
			assert.NotContains(t, err.Error(), password)
		})
	}
}

func TestWithBaseURLAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		url  string
		want string // where the webhook "w" is asked for
	}{
		{"https", "https://proxy.example.com", "https://proxy.example.com/webhooks/w"},
		{"a slash at the end", "https://proxy.example.com/", "https://proxy.example.com/webhooks/w"},
		{"an upper-case scheme", "HTTPS://proxy.example.com", "https://proxy.example.com/webhooks/w"},
		{"a port", "https://proxy.example.com:8443", "https://proxy.example.com:8443/webhooks/w"},
		{"a path", "https://proxy.example.com/api/video", "https://proxy.example.com/api/video/webhooks/w"},
		{"a path with a slash at the end", "https://proxy.example.com/api/video/", "https://proxy.example.com/api/video/webhooks/w"},
		{"a port and an escaped path", "https://proxy.example.com:8443/a%2Fb%20c", "https://proxy.example.com:8443/a%2Fb%20c/webhooks/w"},
		{"https to an address", "https://192.0.2.1", "https://192.0.2.1/webhooks/w"},
		{"http to localhost", "http://localhost:8080/api", "http://localhost:8080/api/webhooks/w"},
		{"http to 127.0.0.1", "http://127.0.0.1:8080", "http://127.0.0.1:8080/webhooks/w"},
		{"http to the rest of 127/8", "http://127.8.9.1", "http://127.8.9.1/webhooks/w"},
		{"http to the loopback address of IPv6", "http://[::1]:8080", "http://[::1]:8080/webhooks/w"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := new(recorder)
			client, err := facade.NewClient(testKey, once, facade.WithBaseURL(test.url), facade.WithHTTPClient(&http.Client{Transport: transport}))
			require.NoError(t, err)
			get(t, client)
			assert.Equal(t, []string{test.want}, transport.urls())
		})
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []facade.Option
		want string
	}{
		{"production by default", nil, "https://ws.api.video/webhooks/w"},
		{"the sandbox", []facade.Option{facade.WithSandbox()}, "https://sandbox.api.video/webhooks/w"},
		{"a base url after the sandbox", []facade.Option{facade.WithSandbox(), facade.WithBaseURL("https://proxy.example.com")}, "https://proxy.example.com/webhooks/w"},
		{"the sandbox after a base url", []facade.Option{facade.WithBaseURL("https://proxy.example.com"), facade.WithSandbox()}, "https://sandbox.api.video/webhooks/w"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := new(recorder)
			client, err := facade.NewClient(testKey, slices.Concat([]facade.Option{once}, test.opts, []facade.Option{facade.WithHTTPClient(&http.Client{Transport: transport})})...)
			require.NoError(t, err)
			get(t, client)
			assert.Equal(t, []string{test.want}, transport.urls())
		})
	}
}

func TestNewClientRefusesOptions(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 51)
	tests := []struct {
		name string
		opt  facade.Option
	}{
		{"no option at all", nil},
		{"no http client", facade.WithHTTPClient(nil)},
		{"no logger", facade.WithLogger(nil)},
		{"a timeout of zero", facade.WithTimeout(0)},
		{"a negative timeout", facade.WithTimeout(-time.Second)},
		{"an application without name", facade.WithApplication("", "1")},
		{"an application of 51 characters", facade.WithApplication(long, "1")},
		{"an application with a space", facade.WithApplication("my app", "1")},
		{"an application with a dot", facade.WithApplication("my.app", "1")},
		{"an application with a colon", facade.WithApplication("my:app", "1")},
		{"an application beyond ASCII", facade.WithApplication("appé", "1")},
		{"an application with digits beyond ASCII", facade.WithApplication("app١", "1")},
		{"an application with a line end", facade.WithApplication("app\n", "1")},
		{"an application with a header of its own", facade.WithApplication("app\r\nX-Other: a", "1")},
		{"no version", facade.WithApplication("app", "")},
		{"a version of four numbers", facade.WithApplication("app", "1.2.3.4")},
		{"a version of four digits", facade.WithApplication("app", "1000")},
		{"a version of four digits at the end", facade.WithApplication("app", "1.2.1000")},
		{"a version with v", facade.WithApplication("app", "v1.2.3")},
		{"a version with a suffix", facade.WithApplication("app", "1.2.3-rc1")},
		{"a version that ends in a dot", facade.WithApplication("app", "1.2.")},
		{"a version that begins with a dot", facade.WithApplication("app", ".1")},
		{"a version with two dots in a row", facade.WithApplication("app", "1..2")},
		{"a negative version", facade.WithApplication("app", "-1")},
		{"a version beyond ASCII", facade.WithApplication("app", "١")},
		{"a version with a line end", facade.WithApplication("app", "1\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, err := facade.NewClient(testKey, test.opt)
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			assert.Contains(t, err.Error(), "NewClient")
			assert.NotContains(t, err.Error(), testKey)
			assert.Nil(t, client)

			_, err = facade.NewClient(testKey, once, facade.WithSandbox(), test.opt, facade.WithSandbox())
			require.ErrorIs(t, err, facade.ErrInvalidArgument, "wherever it stands")
		})
	}
}

func TestWithApplicationAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, application, version string
	}{
		{"one character and one number", "a", "0"},
		{"50 characters", strings.Repeat("n", 50), "1.2"},
		{"every kind of character", "aZ09_-", "1.2.3"},
		{"nothing but dashes", "--", "1.2.3"},
		{"the largest version", "app", "999.999.999"},
		{"leading zeros", "app", "001.02.3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := new(recorder)
			client, err := facade.NewClient(testKey, once,
				facade.WithApplication("earlier", "1"), // the later one holds
				facade.WithApplication(test.application, test.version),
				facade.WithHTTPClient(&http.Client{Transport: transport}))
			require.NoError(t, err)
			get(t, client)
			assert.Equal(t, []string{test.application + ":" + test.version}, transport.requests[0].Header.Values("AV-Origin-App"))
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	settings := []struct {
		name   string
		client time.Duration // of the http client
		option time.Duration // 0: not given
		want   time.Duration
	}{
		{"30 seconds by default", 0, 0, 30 * time.Second},
		{"the option alone, shorter", 0, 5 * time.Second, 5 * time.Second},
		{"the option alone, longer", 0, time.Hour, time.Hour},
		{"the http client's alone, shorter", 7 * time.Second, 0, 7 * time.Second},
		{"the http client's alone, longer", time.Hour, 0, time.Hour},
		{"both, the option's shorter", 7 * time.Second, 5 * time.Second, 5 * time.Second},
		{"both, the http client's shorter", 5 * time.Second, 7 * time.Second, 5 * time.Second},
		{"both the same", 5 * time.Second, 5 * time.Second, 5 * time.Second},
		{"a negative one of the http client is none to net/http", -1, 0, 30 * time.Second},
		{"a negative one of the http client and the option", -1, 5 * time.Second, 5 * time.Second},
	}
	phases := []struct {
		name string
		stop roundTripper
	}{
		{"waiting for the headers", func(r *http.Request) (*http.Response, error) {
			return nil, outlast(r)
		}},
		{"within the body", func(r *http.Request) (*http.Response, error) {
			resp := reply(http.StatusOK, "", nil)
			resp.ContentLength = -1
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"webhookId":`), stalled{r}))
			return resp, nil
		}},
		{"within the body of an error", func(r *http.Request) (*http.Response, error) {
			resp := reply(http.StatusNotFound, "", nil)
			resp.ContentLength = -1
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"title":`), stalled{r}))
			return resp, nil
		}},
	}
	for _, s := range settings {
		for _, phase := range phases {
			t.Run(s.name+"/"+phase.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					opts := []facade.Option{facade.WithHTTPClient(&http.Client{Transport: phase.stop, Timeout: s.client})}
					if s.option != 0 {
						opts = append(opts, facade.WithTimeout(s.option))
					}
					for range 2 { // whichever option comes first
						client, err := facade.NewClient(testKey, append([]facade.Option{once}, opts...)...)
						require.NoError(t, err)
						start := time.Now()
						_, err = client.GetWebhook(t.Context(), "w")
						require.ErrorIs(t, err, context.DeadlineExceeded)
						assert.Equal(t, s.want, time.Since(start))
						if len(opts) == 2 {
							opts[0], opts[1] = opts[1], opts[0]
						}
					}
				})
			})
		}
	}
}

// outlast waits until the request is given up, or for a day, which is longer
// than any timeout of these tests.
func outlast(r *http.Request) error {
	select {
	case <-r.Context().Done():
		return r.Context().Err()
	case <-time.After(24 * time.Hour):
		return errors.New("nobody gave up")
	}
}

// stalled is the rest of a body that doesn't come any more.
type stalled struct{ request *http.Request }

func (s stalled) Read([]byte) (int, error) { return 0, outlast(s.request) }

// An answer that was given up on may have been a good one.
func TestTimeoutSaysNothingAboutTheAnswer(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, status := range []int{op.status, http.StatusNotFound} {
			if status == http.StatusNoContent {
				continue // has no body
			}
			t.Run(op.name+"/"+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					client := newBubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Length", "1000")
						w.WriteHeader(status)
						_, _ = io.WriteString(w, `{"webhookId":`)
						_ = http.NewResponseController(w).Flush()
						<-r.Context().Done()
					}, facade.WithTimeout(3*time.Second))
					start := time.Now()
					err := op.call(t.Context(), client)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, 3*time.Second, time.Since(start))
					assert.Equal(t, status, asError(t, err).StatusCode)
					assert.Equal(t, status == http.StatusNotFound, errors.Is(err, facade.ErrNotFound))
					require.NotErrorIs(t, err, facade.ErrUnexpectedResponse)
				})
			})
		}
	}
}

func TestWithHTTPClient_isNotChanged(t *testing.T) {
	t.Parallel()
	transport := &recorder{answer: func(*http.Request) *http.Response {
		return reply(http.StatusOK, webhookJSON(1), http.Header{"Set-Cookie": {"sticky=1; Path=/"}})
	}}
	hc := &http.Client{Transport: transport, Timeout: time.Minute}
	client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc), facade.WithTimeout(time.Second))
	require.NoError(t, err)
	get(t, client)
	assert.Equal(t, &http.Client{Transport: transport, Timeout: time.Minute}, hc)
	hc.Transport = nil // the client has its own copy
	get(t, client)
	require.Len(t, transport.requests, 2)
	assert.Empty(t, transport.requests[1].Header.Values("Cookie"))
}

func TestWithHTTPClient_unsupportedFields(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	for want, hc := range map[string]*http.Client{
		"CheckRedirect, but redirects are never followed": {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }},
		"Jar, but cookies are never sent":                 {Jar: jar},
		"the HTTP client is nil":                          nil,
	} {
		_, err := facade.NewClient(testKey, facade.WithHTTPClient(hc))
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
	}
}

func TestWithPlainHTTP(t *testing.T) {
	t.Parallel()
	const fake = "http://fake:8080"
	_, err := facade.NewClient(testKey, facade.WithBaseURL(fake))
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "WithPlainHTTP")
	for _, opts := range [][]facade.Option{
		{facade.WithPlainHTTP(), facade.WithBaseURL(fake)},
		{facade.WithBaseURL(fake), facade.WithPlainHTTP()},
	} {
		transport := new(recorder)
		client, err := facade.NewClient(testKey, append(opts, once, facade.WithHTTPClient(&http.Client{Transport: transport}))...)
		require.NoError(t, err)
		get(t, client)
		assert.Equal(t, []string{fake + "/webhooks/w"}, transport.urls())
	}
}

func TestLaterHTTPClientWins(t *testing.T) {
	t.Parallel()
	earlier, later := new(recorder), new(recorder)
	client, err := facade.NewClient(testKey, once,
		facade.WithHTTPClient(&http.Client{Transport: earlier}),
		facade.WithHTTPClient(&http.Client{Transport: later}))
	require.NoError(t, err)
	get(t, client)
	assert.Empty(t, earlier.requests)
	assert.Len(t, later.requests, 1)
}
