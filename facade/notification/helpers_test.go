package notification_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The published test vector of the service.
const (
	vectorSecret = "sig_sec_0000000000000000000000"
	vectorTime   = "2021-01-29T15:46:25.217Z"
	vectorBody   = `{"type":"video.encoding.quality.completed","emittedAt":"` + vectorTime + `",` +
		`"videoId":"vi0000000000000000000000","liveStreamId":"li0000000000000000000000",` +
		`"encoding":"hls","quality":"720p"}`
	vectorSignature = "27a77d3a7fc626854886b5dbfae4e32c8b0170c1ea1b714c91ba77f1e7774e8c"
)

const webhookID = "webhook_4XbQpGz7mWkT2nVr8sYcLd"

var secret = facade.NewSecret(vectorSecret)

// Webhooks of a fake account, by number.
func testID(i int) string            { return fmt.Sprintf("webhook_%022d", i) }
func testSecret(i int) facade.Secret { return facade.NewSecret(fmt.Sprintf("sig_sec_%022d", i)) }

func newSecrets(texts ...string) (secrets []facade.Secret) {
	for _, text := range texts {
		secrets = append(secrets, facade.NewSecret(text))
	}
	return secrets
}

// signedHeader returns the header of a notification.
func signedHeader(id, body string, secret facade.Secret) http.Header {
	header := make(http.Header)
	header.Set(notification.HeaderWebhookID, id)
	header.Set(notification.HeaderSignature, notification.Sign([]byte(body), secret))
	return header
}

// vectorHeader returns the header of a notification with the body of the vector.
func vectorHeader() http.Header { return signedHeader(webhookID, vectorBody, secret) }

// newVerifier returns a Verifier with the secret of the vector.
func newVerifier(tb testing.TB, opts ...notification.Option) *notification.Verifier {
	tb.Helper()
	return verifierWith(tb, notification.StaticSecrets(secret), opts...)
}

func verifierWith(tb testing.TB, s notification.SecretSource, opts ...notification.Option) *notification.Verifier {
	tb.Helper()
	v, err := notification.NewVerifier(s, opts...)
	require.NoError(tb, err)
	return v
}

// sourceFunc is a SecretSource.
type sourceFunc func(ctx context.Context, webhookID string) ([]facade.Secret, error)

func (f sourceFunc) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	return f(ctx, webhookID)
}

// deliver returns the response of handler to a notification.
func deliver(handler http.Handler, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func accept(context.Context, *notification.Notification) error { return nil }

var errHandling = errors.New("handling failed")

// newLog returns a logger and its output, which must be free of secrets.
func newLog(t *testing.T) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	t.Cleanup(func() { assertNoSecrets(t, log.String()) })
	return slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), log
}

// assertNoSecrets asserts that text is free of secrets and signatures.
func assertNoSecrets(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, "sig_sec_")
	assert.NotContains(t, strings.ToLower(text), vectorSignature)
}

// checkError asserts the properties of the text of an error.
func checkError(t *testing.T, err error) {
	t.Helper()
	assert.True(t, strings.HasPrefix(err.Error(), "apivideo: "), err)
	assert.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), "%q", err)
	assert.Less(t, utf8.RuneCountInString(err.Error()), 400)
	assertNoSecrets(t, err.Error())
}

// TestMain fails if a test leaks a goroutine.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
