package notification_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// closeRecorder is a body that records its Close.
type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

// request returns a delivery of body.
func request(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Header = signedHeader(webhookID, vectorBody, secret)
	return r
}

func TestVerifyRequest_valid(t *testing.T) {
	t.Parallel()
	body := &closeRecorder{Reader: strings.NewReader(vectorBody)}
	r := request(t, body)
	r.Method = http.MethodPut // VerifyRequest ignores the method
	n, err := newVerifier(t).VerifyRequest(r)
	require.NoError(t, err)
	assert.Equal(t, webhookID, n.WebhookID)
	assert.Equal(t, vectorBody, string(n.Raw))
	assert.False(t, body.closed, "the server closes it")
	assert.Equal(t, http.StatusAccepted, notification.StatusCode(err))
	_, err = newVerifier(t).VerifyRequest(r)
	require.ErrorContains(t, err, "the body is empty", "it was read before")
}

func TestVerifyRequest_body(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   io.Reader
		length int64
		want   error
		reason string
		status int
	}{
		"exact limit":            {strings.NewReader(vectorBody), 195, nil, "", http.StatusAccepted},
		"unknown length":         {strings.NewReader(vectorBody), -1, nil, "", http.StatusAccepted},
		"limit and one byte":     {strings.NewReader(vectorBody + " "), -1, notification.ErrTooLarge, "more than 195 bytes", http.StatusRequestEntityTooLarge},
		"greater Content-Length": {unreadBody{t}, 196, notification.ErrTooLarge, "196 bytes, the limit is 195", http.StatusRequestEntityTooLarge},
		"limit of a middleware":  {http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(vectorBody)), 5), 195, notification.ErrTooLarge, "more than 5 bytes", http.StatusRequestEntityTooLarge},
		"truncated":              {io.MultiReader(strings.NewReader(vectorBody[:9]), &failingReader{io.ErrUnexpectedEOF}), 195, io.ErrUnexpectedEOF, "apivideo: the body is incomplete: unexpected EOF", http.StatusBadRequest},
		"already read":           {http.NoBody, 195, notification.ErrBadSignature, "the body is empty; a middleware may have read it before", http.StatusUnauthorized},
		"nil":                    {nil, 0, notification.ErrBadSignature, "the body is empty", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, test.body)
			r.ContentLength = test.length
			if test.body == nil {
				r.Body = nil
			}
			_, err := newVerifier(t, notification.WithMaxBody(195)).VerifyRequest(r)
			require.ErrorIs(t, err, test.want)
			if test.reason != "" {
				require.ErrorContains(t, err, test.reason)
			}
			assert.Equal(t, test.status, notification.StatusCode(err))
		})
	}
}

// The server of net/http gives closed bodies an error of their own.
func TestVerifyRequest_closedBody(t *testing.T) {
	t.Parallel()
	logger, log := newLog(t)
	handler := notification.NewHandler(newVerifier(t), accept, notification.WithHandlerLogger(logger))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		assert.NoError(t, err)
		assert.NoError(t, r.Body.Close())
		_, err = newVerifier(t).VerifyRequest(r)
		assert.EqualError(t, err, "apivideo: a middleware has read and closed the body")
		assert.Equal(t, http.StatusInternalServerError, notification.StatusCode(err))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	req := request(t, strings.NewReader(vectorBody))
	req.RequestURI = ""
	var err error
	req.URL, err = req.URL.Parse(server.URL)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	assert.Contains(t, log.String(), `"level":"ERROR"`)
	assert.Contains(t, log.String(), "a middleware has read and closed the body")
}

// unreadBody fails the test if it is read.
type unreadBody struct{ t *testing.T }

func (r unreadBody) Read([]byte) (int, error) {
	r.t.Error("the body was read")
	return 0, io.EOF
}

func TestStatusCode_table(t *testing.T) {
	t.Parallel()
	for status, errs := range map[int][]error{
		http.StatusAccepted:              {nil},
		http.StatusBadRequest:            {notification.ErrMalformed},
		http.StatusUnauthorized:          {notification.ErrNoSecret, notification.ErrUnsigned, notification.ErrBadSignature, notification.ErrStale},
		http.StatusRequestEntityTooLarge: {notification.ErrTooLarge},
		http.StatusServiceUnavailable:    {notification.ErrUnavailable},
		http.StatusInternalServerError:   {errHandling, context.Canceled, facade.ErrServer, errors.Join(errHandling, io.EOF)},
	} {
		for _, err := range errs {
			assert.Equal(t, status, notification.StatusCode(err), err)
			if err != nil {
				assert.Equal(t, status, notification.StatusCode(fmt.Errorf("wrapped: %w", err)), err)
			}
		}
	}
}
