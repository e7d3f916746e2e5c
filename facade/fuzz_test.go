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
		err := getWebhook(t.Context(), newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			if isTokenRequest(r) {
				return newResponse(http.StatusOK, string(body), nil), nil
			}
			sent = append(sent, r.Header["Authorization"]...)
			return newResponse(http.StatusOK, webhookJSON(1), nil), nil
		}), facade.WithTokenExchange()))
		if err != nil {
			checkErrorText(t, err)
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
			assert.NotContains(t, err.Error(), testKey)
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
	f.Add(webhookJSON(1))
	f.Add(`{"webhookId":"w","createdAt":"2021-01-29T16:46:25.217+01:00","events":["video.new"],"url":null}`)
	f.Add(`{"webhookId":""}`)
	f.Add(`null`)
	f.Add(`{"webhookId":"w"}{}`)
	f.Fuzz(func(t *testing.T, body string) {
		wh, err := newFuzzClient(t, http.StatusOK, nil, body).GetWebhook(t.Context(), "w")
		if err == nil {
			assert.NotEmpty(t, wh.ID)
			return
		}
		assert.Nil(t, wh)
		checkErrorText(t, err)
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
		_, err := iterate(t, newFuzzClient(t, http.StatusOK, nil, body), facade.ListOptions{})
		if err != nil {
			checkErrorText(t, err)
			require.ErrorIs(t, err, facade.ErrUnexpectedResponse)
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
		client := newFuzzClient(t, http.StatusTooManyRequests, header, "")
		err := getWebhook(t.Context(), client)
		require.ErrorIs(t, err, facade.ErrTooManyRequests)
		assert.GreaterOrEqual(t, asError(t, err).RetryAfter, time.Duration(0))
		if rl, ok := client.RateLimit(); ok {
			assert.GreaterOrEqual(t, rl.Limit, 0)
			assert.GreaterOrEqual(t, rl.Remaining, 0)
			assert.Equal(t, rl.Limit, asError(t, err).RateLimit.Limit)
		}
		require.NoError(t, getWebhook(t.Context(), newFuzzClient(t, http.StatusOK, header, webhookJSON(1))))
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
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.URL
			return newResponse(http.StatusOK, webhookJSON(1), nil), nil
		})
		client, err := facade.NewClient(testKey, facade.WithBaseURL(base), facade.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			require.ErrorIs(t, err, facade.ErrInvalidArgument)
			return
		}
		require.NoError(t, getWebhook(t.Context(), client))
		assert.True(t, strings.HasSuffix(sent.Path, "/webhooks/"+webhookID), sent.Path)
		assert.Nil(t, sent.User)
		assert.Empty(t, sent.RawQuery)
		if sent.Scheme != "https" {
			ip := net.ParseIP(sent.Hostname())
			assert.True(t, strings.EqualFold(sent.Hostname(), "localhost") || ip.IsLoopback(), sent.Host)
		}
	})
}

// An ID never changes the route.
func FuzzWebhookID(f *testing.F) {
	for _, id := range []string{
		webhookID, "", ".", "..", "...", "../x", "/", "a/b", "/..", "a/../b", `\..`, "?", "a?b=c", "#", "%", "%2e%2e", "%2F", ";", "a b", "+", "&", ":", "é", "\x00", "\n", "\xff", "a\tb",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, call := range []func(*facade.Client) error{
			func(c *facade.Client) error { return c.DeleteWebhook(t.Context(), id) },
			func(c *facade.Client) error { _, err := c.GetWebhook(t.Context(), id); return err },
		} {
			var path string
			err := call(newClientWith(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				path = r.URL.EscapedPath()
				assert.Empty(t, r.URL.RawQuery)
				return nil, io.ErrUnexpectedEOF
			})))
			isInvalid := id == "" || id == "." || id == ".."
			assert.Equal(t, isInvalid, errors.Is(err, facade.ErrInvalidArgument))
			if isInvalid {
				assert.Empty(t, path)
				continue
			}
			segment, ok := strings.CutPrefix(path, "/webhooks/")
			require.True(t, ok, path)
			assert.NotContains(t, segment, "/")
			got, err := url.PathUnescape(segment)
			require.NoError(t, err)
			assert.Equal(t, id, got)
		}
	})
}
