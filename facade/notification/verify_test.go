package notification_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func TestVerify_publishedVector(t *testing.T) {
	t.Parallel()
	require.Len(t, vectorBody, 195)
	assert.Equal(t, vectorSignature, notification.Sign([]byte(vectorBody), secret))
	for name, signature := range map[string]string{"lower case": vectorSignature, "upper case": strings.ToUpper(vectorSignature)} {
		header := signedHeader(webhookID, vectorBody, secret)
		header.Set(notification.HeaderSignature, signature)
		n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
		require.NoError(t, err, name)
		assert.Equal(t, facade.EventVideoEncodingQualityCompleted, n.Type)
		assert.Equal(t, webhookID, n.WebhookID)
		assert.Equal(t, time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC), n.EmittedAt)
		assert.Equal(t, &notification.VideoEncodingQualityCompleted{
			Type: "video.encoding.quality.completed", EmittedAt: n.EmittedAt, VideoID: "vi0000000000000000000000",
			LiveStreamID: "li0000000000000000000000", Encoding: "hls", Quality: "720p",
		}, n.Event)
		assert.Equal(t, vectorBody, string(n.Raw))
	}
}

func TestNewVerifier_invalidArguments(t *testing.T) {
	t.Parallel()
	static := notification.StaticSecrets(secret)
	for name, test := range map[string]struct {
		source notification.SecretSource
		opts   []notification.Option
		want   string
	}{
		"nil source":       {nil, nil, "the secret source is nil"},
		"no secrets":       {notification.StaticSecrets(), nil, "StaticSecrets has no secret"},
		"empty secrets":    {notification.StaticSecrets(facade.Secret{}, facade.NewSecret("")), nil, "StaticSecrets has no secret"},
		"WithMaxBody(0)":   {static, []notification.Option{notification.WithMaxBody(0)}, "WithMaxBody: 0 is not positive"},
		"WithMaxBody(-1)":  {static, []notification.Option{notification.WithMaxBody(-1)}, "WithMaxBody: -1 is not positive"},
		"WithMaxAge(0)":    {static, []notification.Option{notification.WithMaxAge(0)}, "WithMaxAge: 0s is not positive"},
		"WithMaxAge(-1 s)": {static, []notification.Option{notification.WithMaxAge(-time.Second)}, "WithMaxAge: -1s is not positive"},
		"nil option":       {static, []notification.Option{nil}, "an option is nil"},
	} {
		v, err := notification.NewVerifier(test.source, test.opts...)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "apivideo: NewVerifier: invalid argument: "+test.want)
		assert.Nil(t, v)
	}
}

// Malformed headers are rejected before the SecretSource is called.
func TestVerify_headers(t *testing.T) {
	t.Parallel()
	const idKey, signatureKey = notification.HeaderWebhookID, notification.HeaderSignature
	for name, test := range map[string]struct {
		change func(http.Header)
		want   error
		reason string
	}{
		"missing signature":         {func(h http.Header) { h.Del(signatureKey) }, notification.ErrUnsigned, "the X-Api-Video-Signature header is missing"},
		"zero signature values":     {func(h http.Header) { h["X-Api-Video-Signature"] = nil }, notification.ErrUnsigned, "missing"},
		"empty signature":           {func(h http.Header) { h.Set(signatureKey, "") }, notification.ErrUnsigned, "missing or empty"},
		"two signatures":            {func(h http.Header) { h.Add(signatureKey, vectorSignature) }, notification.ErrBadSignature, "the X-Api-Video-Signature header occurs more than once"},
		"signature and empty":       {func(h http.Header) { h.Add(signatureKey, "") }, notification.ErrBadSignature, "more than once"},
		"signature in two keys":     {func(h http.Header) { h["x-api-video-signature"] = []string{vectorSignature} }, notification.ErrBadSignature, "the X-Api-Video-Signature header occurs more than once"},
		"empty signature in a key":  {func(h http.Header) { h["X-API-VIDEO-SIGNATURE"] = []string{""} }, notification.ErrBadSignature, "more than once"},
		"two signatures, one value": {func(h http.Header) { h.Set(signatureKey, vectorSignature+", "+vectorSignature) }, notification.ErrBadSignature, "has 130 characters instead of 64"},
		"two IDs":                   {func(h http.Header) { h.Add(idKey, "w") }, notification.ErrBadSignature, "the X-Api-Video-WebhookID header occurs more than once"},
		"ID in two keys":            {func(h http.Header) { h[idKey] = []string{webhookID} }, notification.ErrBadSignature, "the X-Api-Video-WebhookID header occurs more than once"},
		"63 digits":                 {func(h http.Header) { h.Set(signatureKey, vectorSignature[1:]) }, notification.ErrBadSignature, "has 63 characters instead of 64"},
		"65 digits":                 {func(h http.Header) { h.Set(signatureKey, vectorSignature+"0") }, notification.ErrBadSignature, "has 65 characters instead of 64"},
		"not hexadecimal":           {func(h http.Header) { h.Set(signatureKey, "g"+vectorSignature[1:]) }, notification.ErrBadSignature, "not hexadecimal"},
		"scheme prefix":             {func(h http.Header) { h.Set(signatureKey, "sha256="+vectorSignature[:57]) }, notification.ErrBadSignature, "not hexadecimal"},
		"64 spaces":                 {func(h http.Header) { h.Set(signatureKey, strings.Repeat(" ", 64)) }, notification.ErrBadSignature, "not hexadecimal"},
		"1 MiB of digits":           {func(h http.Header) { h.Set(signatureKey, strings.Repeat("0", 1<<20)) }, notification.ErrBadSignature, "has 1048576 characters instead of 64"},
		"letters beyond ASCII":      {func(h http.Header) { h.Del(signatureKey); h["X-Api-Video-\u017fignature"] = []string{vectorSignature} }, notification.ErrUnsigned, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := notification.NewVerifier(sourceFunc(func(context.Context, string) ([]facade.Secret, error) {
				t.Error("a secret was requested")
				return []facade.Secret{secret}, nil
			}))
			require.NoError(t, err)
			header := signedHeader(webhookID, vectorBody, secret)
			test.change(header)
			n, err := v.Verify(t.Context(), header, []byte(vectorBody))
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.reason)
			assert.Nil(t, n)
			assertNoSecrets(t, err.Error())
		})
	}
	_, err := newVerifier(t).Verify(t.Context(), nil, nil)
	require.ErrorIs(t, err, notification.ErrUnsigned)
}

func TestVerify_headerSpellings(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"canonical":  {"X-Api-Video-Webhookid": {webhookID}, "X-Api-Video-Signature": {vectorSignature}},
		"constants":  {notification.HeaderWebhookID: {webhookID}, notification.HeaderSignature: {vectorSignature}},
		"lower case": {"x-api-video-webhookid": {webhookID}, "x-api-video-signature": {vectorSignature}},
		"upper case": {"X-API-VIDEO-WEBHOOKID": {webhookID}, "X-API-VIDEO-SIGNATURE": {vectorSignature}},
		"mixed case": {"x-aPI-vIDEO-wEBHOOKid": {webhookID}, "X-Api-Video-Signature": {vectorSignature}},
		"second key without values": {
			"X-Api-Video-Webhookid": {webhookID}, "x-api-video-webhookid": {},
			"X-Api-Video-Signature": {vectorSignature}, "x-api-video-signature": nil,
		},
		"similar and other keys": {
			"x-api-video-webhookid": {webhookID}, "x-api-video-signature": {vectorSignature},
			"x-api-video-webhook-i": {"a"}, "x-api-video-signaturf": {"b"}, "host": {"c", "d"}, "": {"e"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 8 { // the order of a map is random
				n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
				require.NoError(t, err)
				assert.Equal(t, webhookID, n.WebhookID)
			}
		})
	}
}

func TestVerify_headerUnchanged(t *testing.T) {
	t.Parallel()
	values := append(make([]string, 0, 4), vectorSignature)
	header := http.Header{"X-Api-Video-Signature": values, "x-api-video-signature": values[:1:4]}
	for range 8 {
		_, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
		require.ErrorIs(t, err, notification.ErrBadSignature)
		assert.Equal(t, []string{vectorSignature, ""}, values[:2], "the spare capacity is not used")
	}
}

func TestVerify_missingWebhookID(t *testing.T) {
	t.Parallel()
	header := signedHeader("", vectorBody, secret)
	unknown, err := notification.NewVerifier(sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return nil, nil }))
	require.NoError(t, err)
	for range 2 {
		n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
		require.NoError(t, err)
		assert.Empty(t, n.WebhookID)
		_, err = unknown.Verify(t.Context(), header, []byte(vectorBody))
		require.ErrorIs(t, err, notification.ErrNoSecret)
		require.ErrorContains(t, err, "the X-Api-Video-WebhookID header is missing or empty")
		header.Del(notification.HeaderWebhookID)
	}
}

func TestVerify_everyChange(t *testing.T) {
	t.Parallel()
	v, ctx := newVerifier(t), t.Context()
	header := signedHeader(webhookID, vectorBody, secret)
	rejected := func(header http.Header, body []byte) {
		t.Helper()
		_, err := v.Verify(ctx, header, body)
		require.ErrorIs(t, err, notification.ErrBadSignature)
	}
	body := []byte(vectorBody)
	for i := range len(body) * 8 {
		body[i/8] ^= 1 << (i % 8)
		rejected(header, body)
		body[i/8] ^= 1 << (i % 8)
	}
	for i := range body {
		rejected(header, body[:i])
	}
	rejected(header, append(bytes.Clone(body), '\n'))
	rejected(header, append([]byte("\ufeff"), body...))
	for i := range vectorSignature {
		digit := "0"
		if vectorSignature[i] == '0' {
			digit = "1"
		}
		header.Set(notification.HeaderSignature, vectorSignature[:i]+digit+vectorSignature[i+1:])
		rejected(header, body)
	}
	rejected(signedHeader(webhookID, "{}", secret), body)
	rejected(signedHeader(webhookID, vectorBody, facade.NewSecret(strings.ToUpper(vectorSecret))), body)
	rejected(signedHeader(webhookID, vectorBody, facade.NewSecret(strings.TrimPrefix(vectorSecret, "sig_sec_"))), body)
	rejected(signedHeader(webhookID, vectorBody, facade.Secret{}), body)
}

func TestVerify_severalSecrets(t *testing.T) {
	t.Parallel()
	secrets := []facade.Secret{testSecret(1), testSecret(2), {}, testSecret(3)}
	v, err := notification.NewVerifier(notification.StaticSecrets(secrets...))
	require.NoError(t, err)
	for i := range 5 {
		_, err := v.Verify(t.Context(), signedHeader(webhookID, vectorBody, testSecret(i)), []byte(vectorBody))
		if i >= 1 && i <= 3 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, notification.ErrBadSignature)
		}
	}
}

var errSource = errors.New("the vault is sealed")

func TestVerify_secretSource(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secrets []facade.Secret
		err     error
		want    error
		status  int
	}{
		"no secrets":          {nil, nil, notification.ErrNoSecret, http.StatusUnauthorized},
		"empty secrets":       {[]facade.Secret{{}, facade.NewSecret("")}, nil, notification.ErrNoSecret, http.StatusUnauthorized},
		"error":               {nil, errSource, errSource, http.StatusServiceUnavailable},
		"secret and error":    {[]facade.Secret{secret}, errSource, errSource, http.StatusServiceUnavailable},
		"ErrNoSecret":         {nil, fmt.Errorf("unknown: %w", notification.ErrNoSecret), notification.ErrNoSecret, http.StatusUnauthorized},
		"error of a context":  {nil, context.DeadlineExceeded, context.DeadlineExceeded, http.StatusServiceUnavailable},
		"error of the client": {nil, facade.ErrServer, facade.ErrServer, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := notification.NewVerifier(sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
				assert.Equal(t, webhookID, id)
				return test.secrets, test.err
			}))
			require.NoError(t, err)
			// An attacker can sign with the empty secret.
			n, err := v.Verify(t.Context(), signedHeader(webhookID, vectorBody, facade.Secret{}), []byte(vectorBody))
			require.ErrorIs(t, err, test.want)
			assert.Equal(t, errors.Is(test.want, notification.ErrNoSecret), errors.Is(err, notification.ErrNoSecret))
			assert.True(t, strings.HasPrefix(err.Error(), "apivideo: "), err)
			assert.Equal(t, test.err != nil, strings.Contains(err.Error(), "apivideo: the signature secret is unavailable: "), err)
			assert.Equal(t, test.status, notification.StatusCode(err))
			assert.Nil(t, n)
		})
	}
}

func TestVerify_maxBody(t *testing.T) {
	t.Parallel()
	exact := `{"type":"video.new","pad":"` + strings.Repeat("x", 1<<20-29) + `"}`
	require.Len(t, exact, 1<<20)
	_, err := newVerifier(t).Verify(t.Context(), signedHeader(webhookID, exact, secret), []byte(exact))
	require.NoError(t, err)
	exact += " "
	_, err = newVerifier(t).Verify(t.Context(), signedHeader(webhookID, exact, secret), []byte(exact))
	require.ErrorIs(t, err, notification.ErrTooLarge)
	require.ErrorContains(t, err, "1048577 bytes, the limit is 1048576")
	_, err = newVerifier(t, notification.WithMaxBody(194)).Verify(t.Context(), nil, []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrTooLarge, "before the headers")
	_, err = newVerifier(t, notification.WithMaxBody(1), notification.WithMaxBody(195)).
		Verify(t.Context(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
	require.NoError(t, err, "the later option counts")
}

func TestVerify_maxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, notification.WithMaxAge(time.Minute))
		for age, want := range map[time.Duration]error{
			0:                          nil,
			time.Minute:                nil,
			-time.Minute:               nil,
			time.Minute + time.Second:  notification.ErrStale,
			-time.Minute - time.Second: notification.ErrStale,
			100 * 365 * 24 * time.Hour: notification.ErrStale,
		} {
			for _, event := range []string{"video.summary.generated", "video.new"} {
				body := fmt.Sprintf(`{"type":%q,"emittedAt":%q}`, event, time.Now().Add(-age).Format(time.RFC3339))
				_, err := v.Verify(t.Context(), signedHeader(webhookID, body, secret), []byte(body))
				require.ErrorIs(t, err, want, "%s %v", event, age)
				if age.Abs() == 61*time.Second {
					require.ErrorContains(t, err, "emittedAt is 1m1s from now, the limit is 1m0s")
				}
			}
		}
		for _, at := range []string{"0001-01-01T00:00:01Z", "9999-12-31T23:59:59Z"} { // exceeds a Duration
			body := `{"type":"video.summary.generated","emittedAt":"` + at + `"}`
			_, err := v.Verify(t.Context(), signedHeader(webhookID, body, secret), []byte(body))
			require.ErrorIs(t, err, notification.ErrStale, at)
		}
	})
}

func TestVerify_maxAgeWithoutReadableTime(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"type":"video.new","emittedAt":"today"}`,
		`{"type":"video.summary.generated"}`,
		`{"type":"video.summary.generated","emittedAt":1723126338}`,
		`{"type":"video.summary.generated","emittedAt":null}`,
		publishedSamples[facade.EventVideoSummaryGenerated],
	} {
		_, err := newVerifier(t, notification.WithMaxAge(time.Minute)).Verify(t.Context(), signedHeader(webhookID, body, secret), []byte(body))
		require.ErrorIs(t, err, notification.ErrStale)
		require.ErrorContains(t, err, "emittedAt is missing or unreadable")
		_, err = newVerifier(t).Verify(t.Context(), signedHeader(webhookID, body, secret), []byte(body))
		require.NoError(t, err)
	}
}

// A SecretSource may have more secrets than a Verifier caches.
func TestVerify_manySecrets(t *testing.T) {
	t.Parallel()
	v, err := notification.NewVerifier(sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
		return []facade.Secret{facade.NewSecret("sig_sec_" + id)}, nil
	}))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				id := testID(i)
				_, err := v.Verify(t.Context(), signedHeader(id, vectorBody, facade.NewSecret("sig_sec_"+id)), []byte(vectorBody))
				assert.NoError(t, err)
				_, err = v.Verify(t.Context(), signedHeader(testID(i+1), vectorBody, facade.NewSecret("sig_sec_"+id)), []byte(vectorBody))
				assert.ErrorIs(t, err, notification.ErrBadSignature)
			}
		})
	}
	all.Wait()
	var secrets []facade.Secret
	for i := range 257 {
		secrets = append(secrets, testSecret(i))
	}
	assert.Equal(t, 256, notification.CachedHMACs(secrets[:256]))
	assert.Equal(t, 1, notification.CachedHMACs(secrets), "a full cache is emptied")
}

func TestVerifier_printing(t *testing.T) {
	t.Parallel()
	v := newVerifier(t)
	_, err := v.Verify(t.Context(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
	require.NoError(t, err)
	source := notification.ClientSecrets(newClient(t, func(r *http.Request) (*http.Response, error) { return listResponse(r, 2), nil }))
	require.NoError(t, source.Refresh(t.Context()))
	logger, log := newLog(t)
	for _, x := range []any{v, *v, source, notification.StaticSecrets(secret)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, x)
			assertNoSecrets(t, text)
			assert.NotContains(t, text, fmt.Sprintf("%x", vectorSecret))
		}
		logger.LogAttrs(t.Context(), slog.LevelInfo, "printed", slog.Any("x", x))
	}
	assert.NotEmpty(t, log.String())
}

func TestNewVerifier_invalidSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[REDACTED]":        `secret 2 of 2 is the placeholder "[REDACTED]" of a printed secret; store the result of Reveal`,
		vectorSecret + "\n": "secret 2 of 2 contains white space, for example the newline at the end of a file; remove it",
		" " + vectorSecret:  "white space",
		"sig sec":           "white space",
		vectorSecret + "\r": "white space",
		"\t" + vectorSecret: "white space",
		vectorSecret + " ":  "white space",
	} {
		v, err := notification.NewVerifier(notification.StaticSecrets(testSecret(1), facade.NewSecret(text)))
		require.ErrorIs(t, err, facade.ErrInvalidArgument, "%q", text)
		require.ErrorContains(t, err, want)
		assertNoSecrets(t, err.Error())
		assert.Nil(t, v)
	}
}

// Other sources are checked when a notification arrives.
func TestVerify_invalidSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secrets []string
		want    string // of the error, for a valid signature by secret
	}{
		"newline":            {[]string{vectorSecret + "\n"}, "secret 1 of 1 contains white space, for example the newline at the end of a file; remove it"},
		"placeholder":        {[]string{"[REDACTED]"}, `secret 1 of 1 is the placeholder "[REDACTED]" of a printed secret; store the result of Reveal`},
		"second is invalid":  {[]string{"sig_sec_other", " " + vectorSecret}, "secret 2 of 2 contains white space"},
		"another is valid":   {[]string{vectorSecret + "\n", vectorSecret}, ""},
		"another is invalid": {[]string{vectorSecret, "[REDACTED]"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var secrets []facade.Secret
			for _, text := range test.secrets {
				secrets = append(secrets, facade.NewSecret(text))
			}
			v, err := notification.NewVerifier(sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return secrets, nil }))
			require.NoError(t, err)
			logger, log := newLog(t)
			for range 3 { // without and with the cached HMAC
				_, err := v.Verify(t.Context(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody))
				if test.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, "apivideo: the signature secret is unavailable: "+test.want)
				require.NotErrorIs(t, err, notification.ErrBadSignature)
				assertNoSecrets(t, err.Error())
				w := post(notification.NewHandler(v, accept, notification.WithHandlerLogger(logger)), signedHeader(webhookID, vectorBody, secret), vectorBody)
				assert.Equal(t, http.StatusServiceUnavailable, w.Code)
				assert.Contains(t, log.String(), `"level":"ERROR"`)
			}
			_, err = v.Verify(t.Context(), signedHeader(webhookID, vectorBody, facade.NewSecret("[REDACTED]")), []byte(vectorBody))
			require.Error(t, err, "everyone can sign with the placeholder")
		})
	}
}
