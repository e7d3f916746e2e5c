package notification_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

func TestNewVerifier_invalidArguments(t *testing.T) {
	t.Parallel()
	static := notification.StaticSecrets(secret)
	second := func(text string) notification.SecretSource {
		return notification.StaticSecrets(testSecret(1), facade.NewSecret(text))
	}
	for _, test := range []struct {
		source notification.SecretSource
		option notification.Option
		want   string
	}{
		{nil, notification.WithMaxBody(1), "the secret source is nil"},
		{notification.StaticSecrets(), notification.WithMaxBody(1), "StaticSecrets has no secret, or only empty secrets"},
		{notification.StaticSecrets(facade.Secret{}), notification.WithMaxBody(1), "StaticSecrets has no secret"},
		{second("[REDACTED]"), notification.WithMaxBody(1), `StaticSecrets: secret 2 of 2 is the placeholder "[REDACTED]"`},
		{second(vectorSecret + "\n"), notification.WithMaxBody(1), "secret 2 of 2 contains white space"},
		{static, notification.WithMaxBody(0), "WithMaxBody: 0 is not positive"},
		{static, notification.WithMaxBody(-1), "WithMaxBody: -1 is not positive"},
		{static, notification.WithMaxAge(0), "WithMaxAge: 0s is not positive"},
		{static, notification.WithMaxAge(-time.Second), "WithMaxAge: -1s is not positive"},
		{static, nil, "an option is nil"},
	} {
		v, err := notification.NewVerifier(test.source, test.option)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, test.want)
		require.ErrorContains(t, err, "apivideo: NewVerifier: invalid argument: ")
		require.ErrorContains(t, err, test.want)
		assertNoSecrets(t, err.Error())
		assert.Nil(t, v)
	}
}

func TestVerify_publishedVector(t *testing.T) {
	t.Parallel()
	assert.Equal(t, vectorSignature, notification.Sign([]byte(vectorBody), secret))
	for _, signature := range []string{vectorSignature, strings.ToUpper(vectorSignature)} {
		header := http.Header{"X-Api-Video-Webhookid": {webhookID}, "X-Api-Video-Signature": {signature}}
		body := []byte(vectorBody)
		n, err := newVerifier(t).Verify(t.Context(), header, body)
		require.NoError(t, err)
		clear(body) // the notification has a copy
		at := time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC)
		want := &notification.Notification{
			Type: "video.encoding.quality.completed", EmittedAt: at, WebhookID: webhookID,
			Event: &notification.VideoEncodingQualityCompleted{
				Type: "video.encoding.quality.completed", EmittedAt: at, VideoID: "vi0000000000000000000000",
				LiveStreamID: "li0000000000000000000000", Encoding: "hls", Quality: "720p",
			},
			Raw: []byte(vectorBody),
		}
		assert.Equal(t, want, n)
		decoded, err := notification.Decode(n.WebhookID, n.Raw) // for example out of a queue
		require.NoError(t, err)
		assert.Equal(t, want, decoded)
	}
}

// Invalid headers are rejected before a secret is requested.
func TestVerify_invalidHeaders(t *testing.T) {
	t.Parallel()
	const id, sig = "X-Api-Video-Webhookid", "X-Api-Video-Signature"
	const missing = "the X-Api-Video-Signature header is missing or empty"
	const twice, twoIDs = "the X-Api-Video-Signature header occurs more", "the X-Api-Video-WebhookID header occurs more"
	unsigned, bad := notification.ErrUnsigned, notification.ErrBadSignature
	v := verifierWith(t, sourceFunc(func(context.Context, string) ([]facade.Secret, error) {
		t.Error("a secret was requested")
		return []facade.Secret{secret}, nil
	}))
	spare := append(make([]string, 0, 2), vectorSignature)
	for name, test := range map[string]struct {
		change http.Header
		want   error
		reason string
	}{
		"no values":                {http.Header{sig: nil}, unsigned, missing},
		"empty signature":          {http.Header{sig: {""}}, unsigned, missing},
		"letters beyond ASCII":     {http.Header{sig: nil, "X-Api-Video-\u017fignature": spare}, unsigned, missing},
		"two signatures":           {http.Header{sig: {vectorSignature, vectorSignature}}, bad, twice},
		"signature and empty":      {http.Header{sig: {vectorSignature, ""}}, bad, twice},
		"signature in two keys":    {http.Header{sig: spare, "x-api-video-signature": spare}, bad, twice},
		"empty signature in a key": {http.Header{"X-API-VIDEO-SIGNATURE": {""}}, bad, twice},
		"two IDs":                  {http.Header{id: {webhookID, "w"}}, bad, twoIDs},
		"ID in two keys":           {http.Header{notification.HeaderWebhookID: {webhookID}}, bad, twoIDs},
		"63 digits":                {http.Header{sig: {vectorSignature[1:]}}, bad, "has 63 characters instead of 64"},
		"65 digits":                {http.Header{sig: {vectorSignature + "0"}}, bad, "has 65 characters instead of 64"},
		"1 MiB":                    {http.Header{sig: {strings.Repeat("0", 1<<20)}}, bad, "has 1048576 characters"},
		"scheme prefix":            {http.Header{sig: {"sha256=" + vectorSignature[:57]}}, bad, "not hexadecimal"},
		"64 spaces":                {http.Header{sig: {strings.Repeat(" ", 64)}}, bad, "not hexadecimal"},
	} {
		header := vectorHeader()
		maps.Copy(header, test.change)
		n, err := v.Verify(t.Context(), header, []byte(vectorBody))
		require.ErrorIs(t, err, test.want, name)
		require.ErrorContains(t, err, test.reason, name)
		assertNoSecrets(t, err.Error())
		assert.Nil(t, n)
	}
	assert.Empty(t, spare[:2][1], "the memory of the header is unchanged")
	_, err := v.Verify(t.Context(), nil, nil)
	require.ErrorIs(t, err, unsigned)
}

func TestVerify_headerSpellings(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"constants":  {notification.HeaderWebhookID: {webhookID}, notification.HeaderSignature: {vectorSignature}},
		"lower case": {"x-api-video-webhookid": {webhookID}, "x-api-video-signature": {vectorSignature}},
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
		for range 8 { // the order of a map is random
			n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
			require.NoError(t, err, name)
			assert.Equal(t, webhookID, n.WebhookID, name)
		}
	}
}

func TestVerify_missingWebhookID(t *testing.T) {
	t.Parallel()
	unknown := verifierWith(t, sourceFunc(func(context.Context, string) ([]facade.Secret, error) { return nil, nil }))
	for _, header := range []http.Header{{}, {notification.HeaderWebhookID: {""}}} {
		header.Set(notification.HeaderSignature, vectorSignature)
		n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
		require.NoError(t, err)
		assert.Empty(t, n.WebhookID)
		_, err = unknown.Verify(t.Context(), header, []byte(vectorBody))
		require.ErrorIs(t, err, notification.ErrNoSecret)
		require.ErrorContains(t, err, "the X-Api-Video-WebhookID header is missing or empty")
	}
}

func TestVerify_everyChange(t *testing.T) {
	t.Parallel()
	v, body, signature := newVerifier(t), []byte(vectorBody), []byte(vectorSignature)
	rejected := func(header http.Header, body []byte) {
		t.Helper()
		_, err := v.Verify(t.Context(), header, body)
		require.ErrorIs(t, err, notification.ErrBadSignature)
	}
	for i := range body {
		body[i] ^= 1
		rejected(vectorHeader(), body)
		body[i] ^= 1
		rejected(vectorHeader(), body[:i])
	}
	for i := range signature {
		signature[i] ^= 1
		rejected(http.Header{notification.HeaderSignature: {string(signature)}}, body)
		signature[i] ^= 1
	}
	rejected(vectorHeader(), append(body, '\n'))
	rejected(vectorHeader(), append([]byte("\ufeff"), body...))
	rejected(signedHeader(webhookID, "{}", secret), body)
	for _, text := range []string{strings.ToUpper(vectorSecret), strings.TrimPrefix(vectorSecret, "sig_sec_"), ""} {
		rejected(signedHeader(webhookID, vectorBody, facade.NewSecret(text)), body)
	}
}

var errSource = errors.New("the vault is sealed")

func TestVerify_secretSource(t *testing.T) {
	t.Parallel()
	const unknown, unavailable = "no signature secret for this webhook", "the signature secret is unavailable: "
	const space = "contains white space, for example the newline at the end of a file; remove it"
	const placeholder = `is the placeholder "[REDACTED]" of a printed secret; store the result of Reveal`
	for name, test := range map[string]struct {
		secrets []string
		err     error
		want    string // the error for a signature by vectorSecret
		status  int
	}{
		"one of several":      {[]string{"sig_sec_1", "", vectorSecret, "sig_sec_2"}, nil, "", 202},
		"valid and invalid":   {[]string{" sig_sec_1", vectorSecret, "sig\rsec"}, nil, "", 202},
		"no secrets":          {nil, nil, unknown, 401},
		"empty secrets":       {[]string{"", ""}, nil, unknown, 401},
		"newline":             {[]string{vectorSecret + "\n"}, nil, unavailable + "secret 1 of 1 " + space, 503},
		"placeholder":         {[]string{"sig_sec_1", "[REDACTED]"}, nil, unavailable + "secret 2 of 2 " + placeholder, 503},
		"error":               {nil, errSource, unavailable + "the vault is sealed", 503},
		"secret and error":    {[]string{vectorSecret}, errSource, unavailable + "the vault is sealed", 503},
		"error with a prefix": {nil, fmt.Errorf("apivideo: %w", errSource), unavailable + "the vault is sealed", 503},
		"ErrNoSecret":         {nil, notification.ErrNoSecret, unavailable + "no signature secret", 401},
	} {
		v := verifierWith(t, sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
			assert.Equal(t, webhookID, id)
			var secrets []facade.Secret
			for _, text := range test.secrets {
				secrets = append(secrets, facade.NewSecret(text))
			}
			return secrets, test.err
		}))
		for range 3 { // without and with the cached HMAC
			_, err := v.Verify(t.Context(), vectorHeader(), []byte(vectorBody))
			assert.Equal(t, test.status, notification.StatusCode(err), name)
			if test.want == "" {
				require.NoError(t, err, name)
				continue
			}
			require.EqualError(t, err, "apivideo: "+test.want, name)
			assert.True(t, test.err == nil || errors.Is(err, test.err), name)
			assert.Equal(t, test.status == 401, errors.Is(err, notification.ErrNoSecret), name)
		}
		for _, text := range []string{"", "[REDACTED]"} { // everyone can sign with them
			header := signedHeader(webhookID, vectorBody, facade.NewSecret(text))
			_, err := v.Verify(t.Context(), header, []byte(vectorBody))
			require.Error(t, err, name)
		}
	}
}

func TestVerify_maxBody(t *testing.T) {
	t.Parallel()
	body := `{"type":"video.new","pad":"` + strings.Repeat("x", 1<<20-29) + `"}`
	_, err := newVerifier(t).Verify(t.Context(), signedHeader(webhookID, body, secret), []byte(body))
	require.NoError(t, err)
	_, err = newVerifier(t).Verify(t.Context(), nil, []byte(body+" "))
	require.ErrorIs(t, err, notification.ErrTooLarge, "before the headers")
	require.ErrorContains(t, err, "1048577 bytes, the limit is 1048576")
	v := newVerifier(t, notification.WithMaxBody(1), notification.WithMaxBody(195)) // the later option counts
	_, err = v.Verify(t.Context(), vectorHeader(), []byte(vectorBody))
	require.NoError(t, err)
}

func TestVerify_maxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ago := func(d time.Duration) string { return time.Now().Add(-d).Format(`"2006-01-02T15:04:05Z07:00"`) }
		const far, unreadable = "from now, the limit is 1m0s", "emittedAt is missing or unreadable"
		for emittedAt, reason := range map[string]string{
			ago(0):                         "",
			ago(time.Minute):               "",
			ago(-time.Minute):              "",
			ago(61 * time.Second):          "emittedAt is 1m1s from now, the limit is 1m0s",
			ago(-61 * time.Second):         "emittedAt is 1m1s from now, the limit is 1m0s",
			`"0001-01-01T00:00:01Z"`:       far, // the difference exceeds a Duration
			`"9999-12-31T23:59:59Z"`:       far,
			`"2024-08-151T10:18:47+00:00"`: unreadable,
			`1723126338`:                   unreadable,
			`null`:                         unreadable,
		} {
			for _, event := range []string{"video.summary.generated", "video.new"} {
				body := `{"type":"` + event + `","emittedAt":` + emittedAt + `}`
				header := signedHeader(webhookID, body, secret)
				_, err := newVerifier(t).Verify(t.Context(), header, []byte(body))
				require.NoError(t, err, "by default every age is accepted")
				_, err = newVerifier(t, notification.WithMaxAge(time.Minute)).Verify(t.Context(), header, []byte(body))
				if reason == "" {
					require.NoError(t, err, body)
					continue
				}
				require.ErrorIs(t, err, notification.ErrStale, body)
				require.ErrorContains(t, err, reason)
			}
		}
	})
}

// A SecretSource may have more secrets than a Verifier caches.
func TestVerify_manySecrets(t *testing.T) {
	t.Parallel()
	v := verifierWith(t, sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
		return []facade.Secret{facade.NewSecret("sig_sec_" + id)}, nil
	}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				signer := facade.NewSecret("sig_sec_" + testID(i))
				_, err := v.Verify(t.Context(), signedHeader(testID(i), vectorBody, signer), []byte(vectorBody))
				assert.NoError(t, err)
				_, err = v.Verify(t.Context(), signedHeader(testID(i+1), vectorBody, signer), []byte(vectorBody))
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
	v, source := newVerifier(t), notification.ClientSecrets((&api{webhooks: []int{0, 1}}).client(t))
	_, err := v.Verify(t.Context(), vectorHeader(), []byte(vectorBody)) // caches the HMAC
	require.NoError(t, err)
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
