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
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// unclosed is a body that panics if it is closed, because the server closes it.
type unclosed struct{ io.Reader }

func (unclosed) Close() error { panic("the body was closed") }

func TestVerifyRequest_body(t *testing.T) {
	t.Parallel()
	const limit = 195 // the length of vectorBody
	const tooLarge, empty = "notification too large: ", "the body is empty; a middleware may have read it before"
	unread, closed := iotest.ErrReader(errHandling), iotest.ErrReader(http.ErrBodyReadAfterClose)
	truncated := io.MultiReader(strings.NewReader(vectorBody[:9]), iotest.ErrReader(io.ErrUnexpectedEOF))
	middleware := http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(vectorBody)), 5)
	for name, test := range map[string]struct {
		body   io.Reader
		length int64
		want   string
		status int
	}{
		"exact limit":            {strings.NewReader(vectorBody), limit, "", 202},
		"unknown length":         {strings.NewReader(vectorBody), -1, "", 202},
		"limit and one byte":     {strings.NewReader(vectorBody + " "), -1, tooLarge + "more than 195 bytes", 413},
		"greater Content-Length": {unread, limit + 1, tooLarge + "196 bytes, the limit is 195", 413},
		"limit of a middleware":  {middleware, limit, tooLarge + "more than 5 bytes", 413},
		"truncated":              {truncated, limit, "the body is incomplete: unexpected EOF", 400},
		"already read":           {http.NoBody, limit, "bad signature: " + empty, 401},
		"closed":                 {closed, limit, "a middleware has read and closed the body", 500},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", nil) // every method is accepted
		r.Header, r.ContentLength, r.Body = vectorHeader(), test.length, unclosed{test.body}
		n, err := newVerifier(t, notification.WithMaxBody(limit)).VerifyRequest(r)
		assert.Equal(t, test.status, notification.StatusCode(err), name)
		assert.Equal(t, name == "truncated", errors.Is(err, io.ErrUnexpectedEOF), name)
		if test.want == "" {
			require.NoError(t, err, name)
			assert.Equal(t, vectorBody, string(n.Raw), name)
		} else {
			require.EqualError(t, err, "apivideo: "+test.want, name)
		}
	}
	_, err := newVerifier(t).VerifyRequest(&http.Request{Header: vectorHeader()})
	require.ErrorContains(t, err, "the body is empty", "nil body of a request for a client")
}

func TestStatusCode_table(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{
		nil:                          202,
		notification.ErrMalformed:    400,
		notification.ErrNoSecret:     401,
		notification.ErrUnsigned:     401,
		notification.ErrBadSignature: 401,
		notification.ErrStale:        401,
		notification.ErrTooLarge:     413,
		notification.ErrUnavailable:  503,
		errHandling:                  500,
		context.Canceled:             500,
		facade.ErrServer:             500,
	} {
		assert.Equal(t, status, notification.StatusCode(err), err)
		if err != nil {
			assert.Equal(t, status, notification.StatusCode(fmt.Errorf("wrapped: %w", err)), err)
		}
	}
}
