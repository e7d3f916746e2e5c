package notification_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The published test vector of the service.
const (
	vectorSecret    = "sig_sec_0000000000000000000000"
	vectorBody      = `{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25.217Z","videoId":"vi0000000000000000000000","liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p"}`
	vectorSignature = "27a77d3a7fc626854886b5dbfae4e32c8b0170c1ea1b714c91ba77f1e7774e8c"
)

const webhookID = "webhook_4XbQpGz7mWkT2nVr8sYcLd"

var secret = facade.NewSecret(vectorSecret)

// signedHeader returns the header of a delivery.
func signedHeader(id, body string, secret facade.Secret) http.Header {
	header := make(http.Header)
	header.Set(notification.HeaderWebhookID, id)
	header.Set(notification.HeaderSignature, notification.Sign([]byte(body), secret))
	return header
}

// newVerifier returns a Verifier with the secret of the vector.
func newVerifier(tb testing.TB, opts ...notification.Option) *notification.Verifier {
	tb.Helper()
	v, err := notification.NewVerifier(notification.StaticSecrets(secret), opts...)
	require.NoError(tb, err)
	return v
}

// sourceFunc is a SecretSource.
type sourceFunc func(ctx context.Context, webhookID string) ([]facade.Secret, error)

func (f sourceFunc) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	return f(ctx, webhookID)
}

// post returns the response of handler to a delivery.
func post(handler http.Handler, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/apivideo", strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func accept(context.Context, *notification.Notification) error { return nil }

var errHandling = errors.New("handling failed")

// logBuffer is a buffer for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newLog returns a logger and its output.
func newLog(t *testing.T) (*slog.Logger, *logBuffer) {
	t.Helper()
	l := new(logBuffer)
	t.Cleanup(func() { assertNoSecrets(t, l.String()) })
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

// assertNoSecrets asserts that text is free of secrets and signatures.
func assertNoSecrets(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, vectorSecret)
	assert.NotContains(t, strings.ToLower(text), vectorSignature)
	assert.NotContains(t, text, "sig_sec_")
}

// newClient returns a client with transport and without retries.
func newClient(t *testing.T, transport func(*http.Request) (*http.Response, error)) *facade.Client {
	t.Helper()
	client, err := facade.NewClient("testkey-Zm9yZ2V0bWVub3Q",
		facade.WithHTTPClient(&http.Client{Transport: roundTripper(transport)}),
		facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}),
	)
	require.NoError(t, err)
	return client
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// listResponse returns the requested page of total webhooks with the IDs of testID
// and the secrets of testSecret.
func listResponse(r *http.Request, total int) *http.Response {
	page, _ := strconv.Atoi(r.URL.Query().Get("currentPage"))
	var items []string
	for i := (page - 1) * 100; i < min(page*100, total); i++ {
		items = append(items, fmt.Sprintf(`{"webhookId":%q,"signatureSecret":%q}`, testID(i), testSecret(i).Reveal()))
	}
	body := fmt.Sprintf(`{"data":[%s],"pagination":{"currentPage":%d,"currentPageItems":%d,"pageSize":100,"pagesTotal":%d,"itemsTotal":%d}}`,
		strings.Join(items, ","), page, len(items), max(1, (total+99)/100), total)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func testID(i int) string            { return fmt.Sprintf("webhook_%022d", i) }
func testSecret(i int) facade.Secret { return facade.NewSecret(fmt.Sprintf("sig_sec_%022d", i)) }

// TestMain fails if a test leaks a goroutine.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
