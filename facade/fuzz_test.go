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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
)

// newFuzzClient returns a client. All requests have the same response.
func newFuzzClient(t *testing.T, status int, header http.Header, body string) *facade.Client {
	t.Helper()
	return newClientWith(t, roundTripper(func(*http.Request) (*http.Response, error) { return newResponse(status, body, header), nil }))
}

// checkUnexpected checks the error of an invalid response, if there is one.
func checkUnexpected(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		checkErrorText(t, err)
		require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
		assert.NotContains(t, err.Error(), testKey)
	}
}

func FuzzAccessToken(f *testing.F) {
	for _, body := range []string{
		`{"token_type":"bearer","expires_in":"1800","access_token":"a","refresh_token":"r"}`,
		`{"token_type":"Bearer","expires_in":{},"access_token":"a\r\nX: y"}`,
		`{"Token_Type":"Bearer","ACCESS_TOKEN":"a","access_token":"b","accessToken":"c"}`,
		`{"token_type":"Bearer","access_token":"` + testKey + `"}`, `{"title":"` + testKey + `"}`, `<html>` + testKey,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var sent []string
		err := getWebhook(t.Context(), newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/auth/") {
				return newResponse(http.StatusOK, string(body), nil), nil
			}
			sent = append(sent, r.Header["Authorization"]...)
			return newResponse(http.StatusOK, webhookJSON(1), nil), nil
		}), facade.WithTokenExchange()))
		if checkUnexpected(t, err); err != nil {
			assert.Empty(t, sent)
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
	f.Add(400, `{"type":"https://docs.api.video/a","title":"No.","name":"url","status":400,"problems":[{"title":"No."},{"events":"No."}]}`)
	f.Add(500, `<html>Bad gateway</html>`)
	f.Add(429, `{"status":"429","problems":{"a":1},"name":[1]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 400 || status > 599 {
			return
		}
		err := getWebhook(t.Context(), newFuzzClient(t, status, nil, body))
		checkErrorText(t, err)
		e := asError(t, err)
		assert.Equal(t, status, e.StatusCode)
		assert.Equal(t, status >= 500, errors.Is(err, facade.ErrServer))
		if len(body) <= 64<<10 && !strings.Contains(body, testKey) && !strings.Contains(strings.ToLower(body), "signaturesecret") {
			assert.Equal(t, body, string(e.Body))
		}
	})
}

func FuzzWebhook(f *testing.F) {
	f.Add(`{"webhookId":"w","createdAt":"2021-01-29T16:46:25.217+01:00","events":["video.new"],"url":null}`)
	f.Add(`{"webhookId":"w"}{}`)
	f.Fuzz(func(t *testing.T, body string) {
		wh, err := newFuzzClient(t, http.StatusOK, nil, body).GetWebhook(t.Context(), "w")
		checkUnexpected(t, err)
		assert.Equal(t, err == nil, wh != nil && wh.ID != "")
	})
}

func FuzzListPage(f *testing.F) {
	f.Add(listJSON(1, 1, 2))
	f.Add(pageJSON("", 1, 25, 0, `0,"links":{}`))
	f.Add(pageJSON("null", 1, 1, int64(1)<<62, int64(1)<<62))
	f.Add(pageJSON(`{"webhookId":"w"}`, -1, -1, -1, -1))
	f.Fuzz(func(t *testing.T, body string) {
		ids, err := iterate(t, newFuzzClient(t, http.StatusOK, nil, body), facade.ListOptions{})
		checkUnexpected(t, err)
		assert.NotContains(t, ids, "")
	})
}

func FuzzRateLimitHeaders(f *testing.F) {
	f.Add("100", "97", "42", "")
	f.Add("-1", "1e9", "99999999999999999999", "Fri, 29 Jan 2021 15:46:25 GMT")
	f.Add("١٠٠", "+5", " 7.5", "Sat, 01 Jan 9999 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, limit, remaining, own, standard string) {
		header := http.Header{
			"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Retry-After": {own}, "Retry-After": {standard},
		}
		client := newFuzzClient(t, http.StatusTooManyRequests, header, "")
		err := getWebhook(t.Context(), client)
		require.ErrorIs(t, err, facade.ErrTooManyRequests)
		assert.GreaterOrEqual(t, asError(t, err).RetryAfter, time.Duration(0))
		rl, _ := client.RateLimit()
		assert.GreaterOrEqual(t, min(rl.Limit, rl.Remaining), 0)
		assert.Equal(t, rl.Limit, asError(t, err).RateLimit.Limit)
		require.NoError(t, getWebhook(t.Context(), newFuzzClient(t, http.StatusOK, header, webhookJSON(1))))
	})
}

func FuzzBaseURL(f *testing.F) {
	for _, u := range []string{
		"https://ws.api.video", "http://localhost:8080/api/", "http://127.0.0.1", "http://[::1]:1", "http://example.com",
		"https://user:password@example.com", "https://example.com?", "https://:443", "HTTPS://EXAMPLE.COM/%2e%2e/",
	} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, base string) {
		var sent *url.URL
		client, err := facade.NewClient(testKey, facade.WithBaseURL(base), facade.WithHTTPClient(&http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r.URL
				return newResponse(http.StatusOK, webhookJSON(1), nil), nil
			}),
		}))
		if err != nil {
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			return
		}
		require.NoError(t, getWebhook(t.Context(), client))
		assert.True(t, strings.HasSuffix(sent.Path, "/webhooks/"+webhookID), sent.Path)
		assert.Nil(t, sent.User)
		assert.Empty(t, sent.RawQuery)
		isLoopback := strings.EqualFold(sent.Hostname(), "localhost") || net.ParseIP(sent.Hostname()).IsLoopback()
		assert.True(t, sent.Scheme == "https" || isLoopback, sent.Host)
	})
}

// An ID never changes the route.
func FuzzWebhookID(f *testing.F) {
	for _, id := range []string{
		webhookID, "", ".", "..", "...", "../x", "/", "a/../b", `\..`, "a?b=c", "#",
		"%", "%2e%2e", "%2F", ";", "a b", "+", "é", "\x00", "\n", "\xff",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		var sent []*url.URL
		client := newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL)
			return nil, io.ErrUnexpectedEOF
		}))
		_, err := client.GetWebhook(t.Context(), id)
		if id == "" || id == "." || id == ".." {
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			require.ErrorIs(t, client.DeleteWebhook(t.Context(), id), facade.ErrInvalidArgument)
			assert.Empty(t, sent)
			return
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorIs(t, client.DeleteWebhook(t.Context(), id), io.ErrUnexpectedEOF)
		require.Len(t, sent, 2)
		for _, u := range sent {
			assert.Empty(t, u.RawQuery)
			segment, ok := strings.CutPrefix(u.EscapedPath(), "/webhooks/")
			require.True(t, ok, u)
			assert.NotContains(t, segment, "/")
			got, err := url.PathUnescape(segment)
			require.NoError(t, err)
			assert.Equal(t, id, got)
		}
	})
}
