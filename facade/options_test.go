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

func TestWithBaseURL_invalid(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	for _, rawURL := range []string{
		"", "/api", "ws.api.video", "localhost:8080", "//ws.api.video", "ftp://ws.api.video", "https:ws.api.video",
		"https:///api", "https://:443", "https://ws.api.video:99999", "https://a..b", "http://ws.api.video",
		"http://0.0.0.0", "http://192.168.0.1:8080", "http://[fe80::1]", "http://localhost.example.com",
		"http://127.0.0.1.example.com", "http://evil-localhost", "http://localhost@ws.api.video",
		"https://" + password + "@ws.api.video", "https://user:" + password + "@ws.api.video", "https://@ws.api.video",
		"https://ws.api.video/?a=" + password, "https://ws.api.video?", "https://ws.api.video/#" + password,
		"https://ws.api.video/api#", "https://user:" + password + "@ws.api.video:port",
		"https://user:" + password + "%zz@ws.api.video", "https://ws.api.video\n", " https://ws.api.video",
		"https:/user:" + password + "@ws.api.video", "https:///user:" + password + "@ws.api.video",
		"https:user:" + password + "@ws.api.video", "/user:" + password + "@ws.api.video",
		"user:" + password + "@ws.api.video", "ftp://user:" + password + "@ws.api.video",
	} {
		client, err := facade.NewClient(testKey, facade.WithBaseURL(rawURL))
		require.ErrorIs(t, err, facade.ErrInvalidArgument, rawURL)
		require.ErrorContains(t, err, "base URL", rawURL)
		assert.NotContains(t, err.Error(), password)
		assert.Nil(t, client)
	}
}

func TestNewClient_server(t *testing.T) {
	t.Parallel()
	base := facade.WithBaseURL
	for want, opts := range map[string][]facade.Option{
		"https://ws.api.video/":                nil,
		"https://sandbox.api.video/":           {base("https://proxy.example.com"), facade.WithSandbox()},
		"https://proxy.example.com/":           {facade.WithSandbox(), base("https://proxy.example.com")},
		"https://slash.example.com/":           {base("https://slash.example.com/")},
		"https://scheme.example.com/":          {base("HTTPS://scheme.example.com")},
		"https://proxy.example.com:8443/":      {base("https://proxy.example.com:8443")},
		"https://proxy.example.com/api/video/": {base("https://proxy.example.com/api/video")},
		"https://slash.example.com/api/video/": {base("https://slash.example.com/api/video/")},
		"https://proxy.example.com/a%2Fb%20c/": {base("https://proxy.example.com/a%2Fb%20c")},
		"https://192.0.2.1/":                   {base("https://192.0.2.1")},
		"http://localhost:8080/api/":           {base("http://localhost:8080/api")},
		"http://127.0.0.1:8080/":               {base("http://127.0.0.1:8080")},
		"http://127.8.9.1/":                    {base("http://127.8.9.1")},
		"http://[::1]:8080/":                   {base("http://[::1]:8080")},
		"http://fake:8080/":                    {base("http://fake:8080"), facade.WithPlainHTTP()},
		"http://plain.example.com/":            {facade.WithPlainHTTP(), base("http://plain.example.com")},
	} {
		server := newScript(succeed)
		opts = append(opts, facade.WithHTTPClient(&http.Client{Transport: inMemory(server)}))
		client, err := facade.NewClient(testKey, opts...)
		require.NoError(t, err, want)
		_, err = client.GetWebhook(t.Context(), "w")
		require.NoError(t, err)
		assert.Equal(t, []string{want + "webhooks/w"}, server.urls)
	}
	_, err := facade.NewClient(testKey, base("ftp://example.com/"+testKey))
	require.ErrorContains(t, err, `"ftp://example.com/[REDACTED]"`)
	_, err = facade.NewClient(testKey, base("http://fake:8080"))
	require.ErrorIs(t, err, facade.ErrInvalidArgument)
	require.ErrorContains(t, err, "WithPlainHTTP")
}

func TestNewClient_invalidOption(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	retry := func(p facade.RetryPolicy) facade.Option { return facade.WithRetry(p) }
	type row struct {
		name string
		opt  facade.Option
		want string
	}
	tests := []row{
		{"nil", nil, "an option is nil"},
		{"nil HTTP client", facade.WithHTTPClient(nil), "the HTTP client is nil"},
		{"CheckRedirect", facade.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}), "a CheckRedirect, but redirects are never followed"},
		{"Jar", facade.WithHTTPClient(&http.Client{Jar: jar}), "a Jar, but cookies are never sent"},
		{"nil logger", facade.WithLogger(nil), "the logger is nil"},
		{"timeout 0", facade.WithTimeout(0), "the timeout 0s must be positive"},
		{"negative timeout", facade.WithTimeout(-1), "must be positive"},
		{"negative MaxAttempts", retry(facade.RetryPolicy{MaxAttempts: -1}), "the retry policy"},
		{"negative MinDelay", retry(facade.RetryPolicy{MinDelay: -1}), "the retry policy"},
		{"negative MaxDelay", retry(facade.RetryPolicy{MaxDelay: -1}), "the retry policy"},
		{"negative delays", retry(facade.RetryPolicy{MinDelay: -2, MaxDelay: -1}), "the retry policy"},
		{"MinDelay above MaxDelay", retry(facade.RetryPolicy{MinDelay: 2, MaxDelay: 1}), "the retry policy"},
		{"MinDelay above the default of MaxDelay", retry(facade.RetryPolicy{MinDelay: time.Minute + 1}), "the retry policy"},
	}
	for _, name := range []string{"", strings.Repeat("n", 51), "my app", "my.app", "my:app", "appé", "app١", "app\n", "app\r\nX-Other: a"} {
		tests = append(tests, row{"application " + name, facade.WithApplication(name, "1"), "the application name"})
	}
	for _, version := range []string{"", "1.2.3.4", "1000", "1.2.1000", "v1.2.3", "1.2.3-rc1", "1.2.", ".1", "1..2", "-1", "١", "1\n"} {
		tests = append(tests, row{"version " + version, facade.WithApplication("app", version), "the application version"})
	}
	for _, test := range tests {
		for _, opts := range [][]facade.Option{{test.opt}, {facade.WithSandbox(), test.opt, facade.WithSandbox()}} {
			client, err := facade.NewClient(testKey, opts...)
			require.ErrorIs(t, err, facade.ErrInvalidArgument, test.name)
			require.ErrorContains(t, err, "NewClient")
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, client, test.name)
		}
	}
}

func TestWithApplication_valid(t *testing.T) {
	t.Parallel()
	for _, app := range [][2]string{{"a", "0"}, {strings.Repeat("n", 50), "1.2"}, {"aZ09_-", "1.2.3"}, {"app", "999.999.999"}, {"app", "001.02.3"}} {
		server := newScript(succeed)
		client := newClientWith(t, inMemory(server), facade.WithApplication("earlier", "1"), facade.WithApplication(app[0], app[1]))
		require.NoError(t, getWebhook(t.Context(), client))
		assert.Equal(t, []string{app[0] + ":" + app[1]}, server.heads[0].Values("AV-Origin-App"))
	}
}

// waitForContext waits until the request is canceled, or for a day, which is longer than
// all timeouts here.
func waitForContext(r *http.Request) error {
	select {
	case <-r.Context().Done():
		return r.Context().Err()
	case <-time.After(24 * time.Hour):
		return errors.New("the request was not canceled")
	}
}

// stallWithin returns a transport whose body stalls after some bytes.
func stallWithin(status int) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		resp := newResponse(status, "", nil)
		resp.ContentLength = -1
		rest := readerFunc(func([]byte) (int, error) { return 0, waitForContext(r) })
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"webhookId":`), rest))
		return resp, nil
	}
}

func TestWithTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		client, option time.Duration // 0: not set
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
		"headers":       func(r *http.Request) (*http.Response, error) { return nil, waitForContext(r) },
		"body":          stallWithin(http.StatusOK),
		"body of a 404": stallWithin(http.StatusNotFound),
		"token request": func(r *http.Request) (*http.Response, error) { return nil, waitForContext(r) },
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for phase, transport := range phases {
					opts := []facade.Option{facade.WithHTTPClient(&http.Client{Transport: transport, Timeout: test.client})}
					if test.option != 0 {
						opts = append(opts, facade.WithTimeout(test.option))
					}
					for range opts { // in both orders
						opts[0], opts[len(opts)-1] = opts[len(opts)-1], opts[0]
						start := time.Now()
						all := opts
						if phase == "token request" {
							all = append(slices.Clone(opts), facade.WithTokenExchange())
						}
						err := getWebhook(t.Context(), newClientWith(t, nil, all...))
						assert.Equal(t, test.want, time.Since(start), phase)
						require.ErrorIs(t, err, context.DeadlineExceeded, phase)
						require.NotErrorIs(t, err, facade.ErrUnexpectedResponse, phase)
						assert.Equal(t, phase == "body of a 404", errors.Is(err, facade.ErrNotFound), phase)
					}
				}
			})
		})
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
			assert.GreaterOrEqual(t, time.Since(start), 10*time.Second)
			assert.LessOrEqual(t, time.Since(start), 10500*time.Millisecond)
			if op.name == "create" {
				require.ErrorIs(t, err, facade.ErrUnconfirmed)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 1, server.requests())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 2, server.requests())
		})
	}
}

func TestWithHTTPClient_unchanged(t *testing.T) {
	t.Parallel()
	server := newScript(respondWith(http.StatusOK, webhookJSON(1), "Set-Cookie", "sticky=1; Path=/"))
	transport := &struct{ http.RoundTripper }{inMemory(server)} // comparable
	hc := &http.Client{Transport: transport, Timeout: time.Minute}
	client, err := facade.NewClient(testKey, facade.WithHTTPClient(hc), facade.WithTimeout(time.Second))
	require.NoError(t, err)
	require.NoError(t, getWebhook(t.Context(), client))
	assert.Equal(t, &http.Client{Transport: transport, Timeout: time.Minute}, hc)
	hc.Transport = nil
	require.NoError(t, getWebhook(t.Context(), client), "the client has a copy")
	require.Equal(t, 2, server.requests())
	assert.Empty(t, server.heads[1].Values("Cookie"))
}
