package facade_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestNewClient_invalidOption(t *testing.T) {
	t.Parallel()
	noRedirect := func(*http.Request, []*http.Request) error { return nil }
	options := map[string][]facade.Option{ // by the text of the error
		"an option is nil":                                  {nil},
		"the HTTP client is nil":                            {facade.WithHTTPClient(nil)},
		"a CheckRedirect, but redirects are never followed": {facade.WithHTTPClient(&http.Client{CheckRedirect: noRedirect})},
		"a Jar, but cookies are never sent":                 {facade.WithHTTPClient(&http.Client{Jar: new(cookiejar.Jar)})},
		"the logger is nil":                                 {facade.WithLogger(nil)},
		"the timeout 0s must be positive":                   {facade.WithTimeout(0)},
		"the timeout -1ns must be positive":                 {facade.WithTimeout(-1)},
		"or be allowed by WithPlainHTTP":                    {facade.WithBaseURL("http://fake:8080")},
		`"ftp://example.com/[REDACTED]" must begin with`:    {facade.WithBaseURL("ftp://example.com/" + testKey)},
	}
	add := func(want string, opt facade.Option) { options[want] = append(options[want], opt) }
	for _, p := range []facade.RetryPolicy{
		{MaxAttempts: -1},
		{MinDelay: -1},
		{MaxDelay: -1},
		{MinDelay: -2, MaxDelay: -1},
		{MinDelay: 2, MaxDelay: 1},
		{MinDelay: time.Minute + 1}, // above the default of MaxDelay
	} {
		add("the retry policy", facade.WithRetry(p))
	}
	for _, name := range []string{"", strings.Repeat("n", 51), "a b", "a.b", "a:b", "é", "١", "a\n", "a\r\nX-Other: a"} {
		add("the application name", facade.WithApplication(name, "1"))
	}
	for _, version := range []string{"", "1.2.3.4", "1000", "1.2.1000", "v1.2.3", "1.2.3-rc1", "1.2.", ".1", "1..2", "-1", "١", "1\n"} {
		add("the application version", facade.WithApplication("app", version))
	}
	for _, rawURL := range []string{
		"", "/api", "ws.api.video", "localhost:8080", "//ws.api.video", "ftp://ws.api.video", "https:ws.api.video",
		"https:///api", "https://:443", "https://ws.api.video:99999", "https://a..b", "http://ws.api.video",
		"http://0.0.0.0", "http://192.168.0.1:8080", "http://[fe80::1]", "http://localhost.example.com",
		"http://127.0.0.1.example.com", "http://evil-localhost", "http://localhost@ws.api.video", "https://@ws.api.video",
		"https://hunter2@ws.api.video", "https://user:hunter2@ws.api.video", "https://user:hunter2%zz@ws.api.video",
		"https://ws.api.video/?a=hunter2", "https://ws.api.video?", "https://ws.api.video/#hunter2", "https://ws.api.video/api#",
		"https://ws.api.video\n", " https://ws.api.video", "https:/user:hunter2@ws.api.video", "https:///user:hunter2@ws.api.video",
		"https:user:hunter2@ws.api.video", "/user:hunter2@ws.api.video", "user:hunter2@ws.api.video", "ftp://user:hunter2@ws.api.video",
	} {
		add("base URL", facade.WithBaseURL(rawURL))
	}
	for want, opts := range options {
		for _, opt := range opts {
			client, err := facade.NewClient(testKey, opt, facade.WithTimeout(time.Second))
			require.ErrorIs(t, err, facade.ErrInvalidArgument, want)
			require.ErrorContains(t, err, "apivideo: NewClient: ")
			require.ErrorContains(t, err, want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Nil(t, client, want)
		}
	}
}

func TestNewClient_server(t *testing.T) {
	t.Parallel()
	base := facade.WithBaseURL
	for want, opts := range map[string][]facade.Option{
		"https://ws.api.video/":                nil,
		"https://sandbox.api.video/":           {base("https://proxy.example.com"), facade.WithSandbox()},
		"https://proxy.example.com/":           {facade.WithSandbox(), base("https://proxy.example.com")},
		"https://slash.example.com/":           {base("HTTPS://slash.example.com/")},
		"https://proxy.example.com:8443/":      {base("https://proxy.example.com:8443")},
		"https://slash.example.com/api/video/": {base("https://slash.example.com/api/video/")},
		"https://proxy.example.com/a%2Fb%20c/": {base("https://proxy.example.com/a%2Fb%20c")},
		"https://192.0.2.1/":                   {base("https://192.0.2.1")},
		"http://localhost:8080/api/":           {base("http://localhost:8080/api")},
		"http://127.8.9.1/":                    {base("http://127.8.9.1")},
		"http://[::1]:8080/":                   {base("http://[::1]:8080")},
		"http://fake:8080/":                    {base("http://fake:8080"), facade.WithPlainHTTP()},
	} {
		server := newScript(succeed)
		client, err := facade.NewClient(testKey, append(opts, facade.WithHTTPClient(&http.Client{Transport: inMemory(server)}))...)
		require.NoError(t, err, want)
		require.NoError(t, getWebhook(t.Context(), client))
		assert.Equal(t, []string{want + "webhooks/" + webhookID}, server.urls)
	}
}

func TestWithApplication(t *testing.T) {
	t.Parallel()
	for _, app := range [][2]string{{"a", "0"}, {strings.Repeat("n", 50), "1.2"}, {"aZ09_-", "999.999.999"}, {"app", "001.02.3"}} {
		server := newScript(succeed)
		client := newClientWith(t, inMemory(server), facade.WithApplication("earlier", "1"), facade.WithApplication(app[0], app[1]))
		require.NoError(t, getWebhook(t.Context(), client))
		assert.Equal(t, []string{app[0] + ":" + app[1]}, server.heads[0].Values("AV-Origin-App"))
	}
}

// stall returns a transport whose response body ends after start, with the error of the
// context. With status 0 there is no response.
func stall(status int, start string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		wait := func() error {
			select {
			case <-r.Context().Done():
				return r.Context().Err()
			case <-time.After(24 * time.Hour): // longer than all timeouts
				return errors.New("the request was not canceled")
			}
		}
		if status == 0 {
			return nil, wait()
		}
		resp := newResponse(status, "", nil)
		body, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, start)
			w.CloseWithError(wait())
		}()
		resp.Body, resp.ContentLength = body, -1
		return resp, nil
	}
}

func TestWithTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		client, option time.Duration // 0 means not set
		want           time.Duration
	}{
		{"default", 0, 0, 30 * time.Second},
		{"short option", 0, 5 * time.Second, 5 * time.Second},
		{"long option", 0, time.Hour, time.Hour},
		{"short HTTP client", 7 * time.Second, 0, 7 * time.Second},
		{"long HTTP client", time.Hour, 0, time.Hour},
		{"option below HTTP client", 7 * time.Second, 5 * time.Second, 5 * time.Second},
		{"HTTP client below option", 5 * time.Second, 7 * time.Second, 5 * time.Second},
		{"negative HTTP client", -1, 0, 30 * time.Second},
		{"negative HTTP client and option", -1, 5 * time.Second, 5 * time.Second},
	}
	phases := map[string]roundTripper{
		"headers":       stall(0, ""),
		"token request": stall(0, ""),
		"body":          stall(http.StatusOK, `{"webhookId":`),
		"body of a 404": stall(http.StatusNotFound, `{"title":`),
	}
	for _, test := range tests {
		for phase, transport := range phases {
			synctest.Test(t, func(t *testing.T) {
				opts := []facade.Option{facade.WithHTTPClient(&http.Client{Transport: transport, Timeout: test.client})}
				if test.option != 0 {
					opts = append(opts, facade.WithTimeout(test.option))
				}
				if phase == "token request" {
					opts = append(opts, facade.WithTokenExchange())
				}
				for range 2 { // in both orders
					slices.Reverse(opts)
					start := time.Now()
					err := getWebhook(t.Context(), newClientWith(t, nil, opts...))
					assert.Equal(t, test.want, time.Since(start), "%s, %s", test.name, phase)
					require.ErrorIs(t, err, context.DeadlineExceeded, phase)
					assert.Equal(t, phase == "body of a 404", errors.Is(err, facade.ErrNotFound), phase)
					require.NotErrorIs(t, err, facade.ErrUnexpectedResponse, phase)
				}
			})
		}
	}
}

// The timeout limits an attempt. The next attempt has a new timeout.
func TestWithTimeout_retries(t *testing.T) {
	t.Parallel()
	for _, op := range distinctOperations {
		synctest.Test(t, func(t *testing.T) {
			server := newScript(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, succeed)
			client := newClient(t, server.ServeHTTP, defaultRetries, facade.WithTimeout(10*time.Second))
			start := time.Now()
			err := op.call(t.Context(), client)
			assert.InDelta(t, 10.25, time.Since(start).Seconds(), 0.25) // with the backoff
			if op.name == "create" {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, []error{facade.ErrUnconfirmed}, sentinelsOf(err))
				assert.Equal(t, 1, server.requests())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 2, server.requests())
		})
	}
}

// The client copies the HTTP client, which stays unchanged.
func TestWithHTTPClient_copy(t *testing.T) {
	t.Parallel()
	server := newScript(respondWith(http.StatusOK, webhookJSON(1), "Set-Cookie", "sticky=1; Path=/"))
	transport := &struct{ http.RoundTripper }{inMemory(server)} // comparable
	hc := &http.Client{Transport: transport, Timeout: time.Minute}
	client, err := facade.NewClient(testKey, facade.WithHTTPClient(hc), facade.WithTimeout(time.Second))
	require.NoError(t, err)
	require.NoError(t, getWebhook(t.Context(), client))
	assert.Equal(t, &http.Client{Transport: transport, Timeout: time.Minute}, hc)
	hc.Transport = nil
	require.NoError(t, getWebhook(t.Context(), client))
	require.Equal(t, 2, server.requests())
	assert.Empty(t, server.heads[1].Values("Cookie"))
}
