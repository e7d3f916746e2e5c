package facade_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// fuzzClient returns a client that is answered with this, without a network.
func fuzzClient(t *testing.T, status int, header http.Header, body string) *facade.Client {
	t.Helper()
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
	client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc))
	require.NoError(t, err)
	return client
}

// checkText holds what is true of every error text.
func checkText(t *testing.T, err error) {
	t.Helper()
	text := asError(t, err).Error()
	assert.True(t, strings.HasPrefix(text, "apivideo: "), text)
	assert.False(t, strings.ContainsFunc(text, unicode.IsControl), "%q", text)
	assert.Less(t, utf8.RuneCountInString(text), 8000)
}

func FuzzAccessToken(f *testing.F) {
	for _, body := range []string{
		`{"token_type":"Bearer","expires_in":3600,"access_token":"a","refresh_token":"r"}`,
		`{"token_type":"bearer","expires_in":"1800","access_token":"a"}`,
		`{"token_type":"Bearer","expires_in":1e999,"access_token":"a"}`,
		`{"token_type":"Bearer","expires_in":{},"access_token":"a\r\nX: y"}`,
		`{"Token_Type":"Bearer","ACCESS_TOKEN":"a","access_token":"b","accessToken":"c"}`,
		`{"token_type":"mac","access_token":"a"}`, `{"token_type":"Bearer","access_token":"` + testKey + `"}`,
		`{"title":"` + testKey + `"}`, `<html>` + testKey, ``, `null`, `[]`, "\xff",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var sent []string
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			answer := string(body)
			if r.URL.Path != "/auth/api-key" {
				sent, answer = append(sent, r.Header["Authorization"]...), webhookJSON(1)
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
		})}
		client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc), facade.WithTokenExchange())
		require.NoError(t, err)
		_, err = client.GetWebhook(t.Context(), "w")
		if err != nil {
			checkText(t, err)
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
			assert.NotContains(t, err.Error(), testKey)
			assert.Empty(t, sent, "nothing goes out without a token")
			return
		}
		var model struct {
			AccessToken string `json:"access_token"`
		}
		require.NoError(t, json.Unmarshal(body, &model))
		assert.Equal(t, []string{"Bearer " + model.AccessToken}, sent)
	})
}

func FuzzErrorBody(f *testing.F) {
	f.Add(400, `{"type":"https://docs.api.video/reference/attribute-required","title":"This attribute is required.","name":"url","status":400,"problems":[{"title":"No.","name":"url"},{"events":"No.","name":"events"}]}`)
	f.Add(401, `{"title":"The API key is invalid.","name":null}`)
	f.Add(500, `<html>Bad gateway</html>`)
	f.Add(502, ``)
	f.Add(429, `{"status":"429","problems":{"a":1},"name":[1]}`)
	f.Add(418, "\xff\x00{")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 400 || status > 599 {
			return
		}
		_, err := fuzzClient(t, status, http.Header{}, body).GetWebhook(t.Context(), "w")
		checkText(t, err)
		e := asError(t, err)
		assert.Equal(t, status, e.StatusCode)
		assert.Equal(t, status >= 500, errors.Is(err, facade.ErrServer))
		if len(body) <= 64<<10 && !strings.Contains(body, testKey) {
			assert.Equal(t, body, string(e.Body))
		}
	})
}

func FuzzWebhook(f *testing.F) {
	f.Add(webhookJSON(1))
	f.Add(`{"webhookId":"w","createdAt":"2021-01-29T16:46:25.217+01:00","events":["video.new"],"url":null}`)
	f.Add(`{"webhookId":""}`)
	f.Add(`null`)
	f.Add(`{"webhookId":"w"}{}`)
	f.Fuzz(func(t *testing.T, body string) {
		wh, err := fuzzClient(t, http.StatusOK, http.Header{}, body).GetWebhook(t.Context(), "w")
		if err == nil {
			assert.NotEmpty(t, wh.ID)
			return
		}
		assert.Nil(t, wh)
		checkText(t, err)
		require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
	})
}

func FuzzListPage(f *testing.F) {
	f.Add(listJSON(1, 100, 2))
	f.Add(listJSON(1, 1, 2))
	f.Add(`{"data":[],"pagination":{"currentPage":1,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":{}}}`)
	f.Add(`{"data":[null],"pagination":{"currentPage":1,"pageSize":1,"pagesTotal":9223372036854775807,"itemsTotal":9223372036854775807}}`)
	f.Add(`{"data":[{"webhookId":"w"}],"pagination":{"currentPage":-1,"pageSize":-1,"pagesTotal":-1,"itemsTotal":-1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		client := fuzzClient(t, http.StatusOK, http.Header{}, body)
		seen := make(map[string]bool)
		for wh, err := range client.Webhooks(t.Context(), facade.ListOptions{}) {
			if err != nil {
				checkText(t, err)
				require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
				continue
			}
			assert.NotEmpty(t, wh.ID)
			assert.False(t, seen[wh.ID], "never twice")
			seen[wh.ID] = true
		}
	})
}

func FuzzRateLimitHeaders(f *testing.F) {
	f.Add("100", "97", "42", "")
	f.Add("", "", "12.5", "120")
	f.Add("-1", "1e9", "99999999999999999999", "Fri, 29 Jan 2021 15:46:25 GMT")
	f.Add("١٠٠", "+5", " 7", "Sat, 01 Jan 9999 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, limit, remaining, own, standard string) {
		header := http.Header{
			"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Retry-After": {own}, "Retry-After": {standard},
		}
		client := fuzzClient(t, http.StatusTooManyRequests, header, "")
		_, err := client.GetWebhook(t.Context(), "w")
		require.ErrorIs(t, err, facade.ErrTooManyRequests)
		assert.GreaterOrEqual(t, asError(t, err).RetryAfter, time.Duration(0))
		if rl, ok := client.RateLimit(); ok {
			assert.GreaterOrEqual(t, rl.Limit, 0)
			assert.GreaterOrEqual(t, rl.Remaining, 0)
			assert.Equal(t, rl.Limit, asError(t, err).RateLimit.Limit)
		}

		// Whatever they hold, a success stays one.
		_, err = fuzzClient(t, http.StatusOK, header, webhookJSON(1)).GetWebhook(t.Context(), "w")
		require.NoError(t, err)
	})
}

func FuzzBaseURL(f *testing.F) {
	for _, u := range []string{
		"https://ws.api.video", "http://localhost:8080/api/", "http://127.0.0.1", "http://[::1]:1", "http://example.com",
		"https://user:password@example.com", "https://example.com?", "https://example.com#", "https://:443", "HTTPS://EXAMPLE.COM/%2e%2e/",
	} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, base string) {
		var sent *url.URL
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.URL
			return nil, io.ErrUnexpectedEOF
		})}
		client, err := facade.NewClient(testKey, once, facade.WithBaseURL(base), facade.WithHTTPClient(hc))
		if err != nil {
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			return
		}
		_, err = client.GetWebhook(t.Context(), "w")
		checkText(t, err)
		require.NotNil(t, sent, "what was accepted can be sent to")
		assert.True(t, strings.HasSuffix(sent.Path, "/webhooks/w"), sent.Path)
		assert.Nil(t, sent.User)
		assert.Empty(t, sent.RawQuery)
		if sent.Scheme != "https" {
			ip := net.ParseIP(sent.Hostname())
			assert.True(t, strings.EqualFold(sent.Hostname(), "localhost") || ip.IsLoopback(), sent.Host)
		}
	})
}

func FuzzWebhookID(f *testing.F) {
	for _, id := range []string{"webhook_4XbQpGz7mWkT2nVr8sYcLd", "", ".", "..", "...", "a/b", "../x", "%2e%2e", "?", "#", "\x00", "\xff", "é", " "} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		var path string
		hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			path = r.URL.EscapedPath()
			assert.Empty(t, r.URL.RawQuery)
			return nil, io.ErrUnexpectedEOF
		})}
		client, err := facade.NewClient(testKey, once, facade.WithHTTPClient(hc))
		require.NoError(t, err)
		err = client.DeleteWebhook(t.Context(), id)
		if errors.Is(err, facade.ErrInvalidArgument) {
			assert.Empty(t, path, "nothing was sent")
			return
		}
		segment, ok := strings.CutPrefix(path, "/webhooks/")
		require.True(t, ok, path)
		assert.NotContains(t, segment, "/")
		got, err := url.PathUnescape(segment)
		require.NoError(t, err)
		assert.Equal(t, id, got)
	})
}
