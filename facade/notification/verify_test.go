package notification_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

func TestNewVerifier_invalidArguments(t *testing.T) {
	t.Parallel()
	static := func(texts ...string) notification.SecretSource {
		return notification.StaticSecrets(newSecrets(texts...)...)
	}
	valid := notification.WithMaxBody(1)
	for _, test := range []struct {
		source notification.SecretSource
		option notification.Option
		want   string
	}{
		{nil, valid, "the secret source is nil"},
		{static(), valid, "StaticSecrets has no secret, or only empty secrets"},
		{static("", ""), valid, "StaticSecrets has no secret, or only empty secrets"},
		{static("a", "[REDACTED]"), valid, `StaticSecrets: secret 2 of 2 is the placeholder "[REDACTED]"`},
		{static("a", vectorSecret+"\n"), valid, "StaticSecrets: secret 2 of 2 contains white space"},
		{static("a b"), valid, "StaticSecrets: secret 1 of 1 contains white space"},
		{static("\ta"), valid, "StaticSecrets: secret 1 of 1 contains white space"},
		{static("a\r"), valid, "StaticSecrets: secret 1 of 1 contains white space"},
		{static("a"), notification.WithMaxBody(0), "WithMaxBody: 0 is not positive"},
		{static("a"), notification.WithMaxBody(-1), "WithMaxBody: -1 is not positive"},
		{static("a"), notification.WithMaxAge(0), "WithMaxAge: 0s is not positive"},
		{static("a"), notification.WithMaxAge(-time.Second), "WithMaxAge: -1s is not positive"},
		{static("a"), nil, "an option is nil"},
	} {
		v, err := notification.NewVerifier(test.source, test.option)
		require.ErrorIs(t, err, facade.ErrInvalidArgument)
		require.ErrorContains(t, err, "apivideo: NewVerifier: invalid argument: "+test.want)
		assertNoSecrets(t, err.Error())
		assert.Nil(t, v)
	}
}

func TestVerify_publishedVector(t *testing.T) {
	t.Parallel()
	at := time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC)
	want := &notification.Notification{
		Type: "video.encoding.quality.completed", EmittedAt: at, WebhookID: webhookID, Raw: []byte(vectorBody),
		Event: &notification.VideoEncodingQualityCompleted{
			Type: "video.encoding.quality.completed", EmittedAt: at, VideoID: "vi0000000000000000000000",
			LiveStreamID: "li0000000000000000000000", Encoding: "hls", Quality: "720p",
		},
	}
	body := []byte(vectorBody)
	assert.Equal(t, vectorSignature, notification.Sign(body, secret))
	n, err := newVerifier(t).Verify(t.Context(), vectorHeader(), body)
	require.NoError(t, err)
	clear(body) // the notification has a copy
	assert.Equal(t, want, n)
	decoded, err := notification.Decode(n.WebhookID, n.Raw) // for example out of a queue
	require.NoError(t, err)
	assert.Equal(t, want, decoded)
}

// Invalid headers are rejected before a secret is requested.
func TestVerify_headers(t *testing.T) {
	t.Parallel()
	const id, sig, lowerID, lowerSig = "X-Api-Video-Webhookid", "X-Api-Video-Signature", "x-api-video-webhookid", "x-api-video-signature"
	const missing, notHex = "the X-Api-Video-Signature header is missing or empty", "the X-Api-Video-Signature header is not hex"
	const twice, twoIDs = "the X-Api-Video-Signature header occurs more", "the X-Api-Video-WebhookID header occurs more"
	unsigned, bad := notification.ErrUnsigned, notification.ErrBadSignature
	w, s := []string{webhookID}, append(make([]string, 0, 2), vectorSignature)
	for name, test := range map[string]struct {
		header http.Header
		err    error
		want   string // the webhook ID or the error
	}{
		"canonical":                 {http.Header{id: w, sig: s}, nil, webhookID},
		"constants":                 {http.Header{notification.HeaderWebhookID: w, notification.HeaderSignature: s}, nil, webhookID},
		"lower case":                {http.Header{lowerID: w, lowerSig: s}, nil, webhookID},
		"mixed case":                {http.Header{"x-aPI-vIDEO-wEBHOOKid": w, "X-API-VIDEO-SIGNATURE": s}, nil, webhookID},
		"upper-case digits":         {http.Header{id: w, sig: {strings.ToUpper(vectorSignature)}}, nil, webhookID},
		"second key without values": {http.Header{id: w, lowerID: {}, sig: s, lowerSig: nil}, nil, webhookID},
		"similar keys":              {http.Header{lowerID: w, lowerSig: s, lowerID[:20] + "i": s, "x-api-video-signaturf": w}, nil, webhookID},
		"other keys":                {http.Header{id: w, sig: s, "Host": {"c", "d"}, "": {"e"}}, nil, webhookID},
		"no ID":                     {http.Header{sig: s}, nil, ""},
		"empty ID":                  {http.Header{sig: s, id: {""}}, nil, ""},

		"nil":                      {nil, unsigned, missing},
		"no values":                {http.Header{sig: nil}, unsigned, missing},
		"empty signature":          {http.Header{sig: {""}}, unsigned, missing},
		"letters beyond ASCII":     {http.Header{"X-Api-Video-\u017fignature": s}, unsigned, missing},
		"two signatures":           {http.Header{sig: {vectorSignature, ""}}, bad, twice},
		"signature in two keys":    {http.Header{sig: s, lowerSig: s}, bad, twice},
		"empty signature in a key": {http.Header{sig: {vectorSignature}, lowerSig: {""}}, bad, twice},
		"empty signature, upper":   {http.Header{sig: {vectorSignature}, "X-API-VIDEO-SIGNATURE": {""}}, bad, twice},
		"two IDs":                  {http.Header{sig: s, id: {webhookID, "w"}}, bad, twoIDs},
		"ID in two keys":           {http.Header{sig: s, id: w, notification.HeaderWebhookID: w}, bad, twoIDs},
		"63 digits":                {http.Header{sig: {vectorSignature[1:]}}, bad, "has 63 characters instead of 64"},
		"65 digits":                {http.Header{sig: {vectorSignature + "0"}}, bad, "has 65 characters instead of 64"},
		"1 MiB":                    {http.Header{sig: {strings.Repeat("0", 1<<20)}}, bad, "has 1048576 characters"},
		"scheme prefix":            {http.Header{sig: {"sha256=" + vectorSignature[:57]}}, bad, notHex},
		"64 spaces":                {http.Header{sig: {strings.Repeat(" ", 64)}}, bad, notHex},
	} {
		for range 8 { // the order of a map is random
			requested := false
			v := verifierWith(t, sourceFunc(func(context.Context, string) ([]facade.Secret, error) {
				requested = true
				return []facade.Secret{secret}, nil
			}))
			n, err := v.Verify(t.Context(), test.header, []byte(vectorBody))
			assert.Equal(t, test.err == nil, requested, name)
			if test.err == nil {
				require.NoError(t, err, name)
				assert.Equal(t, test.want, n.WebhookID, name)
				continue
			}
			require.ErrorIs(t, err, test.err, name)
			require.ErrorContains(t, err, test.want, name)
			assertNoSecrets(t, err.Error())
			assert.Nil(t, n)
		}
	}
	assert.Empty(t, s[:2][1], "the memory of the header is unchanged")
}

var errSource = errors.New("the vault is sealed")

func TestVerify_secretSource(t *testing.T) {
	t.Parallel()
	const unknown, unavailable = "no signature secret for this webhook", "the signature secret is unavailable: "
	const space = "contains white space, for example the newline at the end of a file; remove it"
	const placeholder = `is the placeholder "[REDACTED]" of a printed secret; store the result of Reveal`
	const noID = "no signature secret: the X-Api-Video-WebhookID header is missing or empty"
	for name, test := range map[string]struct {
		id      string
		secrets []facade.Secret
		err     error
		want    string // the error for a signature by vectorSecret
		status  int
	}{
		"one of several":      {"w", newSecrets("a", "", vectorSecret, "b"), nil, "", 202},
		"valid and invalid":   {"w", newSecrets(" a", vectorSecret, "a\rb"), nil, "", 202},
		"no secrets":          {"w", nil, nil, unknown, 401},
		"empty secrets":       {"w", newSecrets("", ""), nil, unknown, 401},
		"no webhook ID":       {"", nil, nil, noID, 401},
		"newline":             {"w", newSecrets(vectorSecret + "\n"), nil, unavailable + "secret 1 of 1 " + space, 503},
		"placeholder":         {"w", newSecrets("a", "[REDACTED]"), nil, unavailable + "secret 2 of 2 " + placeholder, 503},
		"error":               {"w", nil, errSource, unavailable + "the vault is sealed", 503},
		"secret and error":    {"w", newSecrets(vectorSecret), errSource, unavailable + "the vault is sealed", 503},
		"error with a prefix": {"w", nil, fmt.Errorf("apivideo: %w", errSource), unavailable + "the vault is sealed", 503},
		"ErrNoSecret":         {"w", nil, notification.ErrNoSecret, unavailable + "no signature secret", 401},
	} {
		v := verifierWith(t, sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
			assert.Equal(t, test.id, id)
			return test.secrets, test.err
		}))
		for range 3 { // without and with the cached HMAC
			_, err := v.Verify(t.Context(), signedHeader(test.id, vectorBody, secret), []byte(vectorBody))
			assert.Equal(t, test.status, notification.StatusCode(err), name)
			assert.Equal(t, test.status == 401, errors.Is(err, notification.ErrNoSecret), name)
			if test.want == "" {
				require.NoError(t, err, name)
			} else {
				require.EqualError(t, err, "apivideo: "+test.want, name)
				assert.True(t, test.err == nil || errors.Is(err, test.err), name)
			}
		}
		for _, public := range newSecrets("", "[REDACTED]") {
			_, err := v.Verify(t.Context(), signedHeader(test.id, vectorBody, public), []byte(vectorBody))
			require.Error(t, err, name)
		}
	}
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
			body := `{"type":"video.new","emittedAt":` + emittedAt + `}`
			header := signedHeader(webhookID, body, secret)
			_, err := newVerifier(t).Verify(t.Context(), header, []byte(body))
			require.NoError(t, err, "by default every age is accepted")
			_, err = newVerifier(t, notification.WithMaxAge(time.Minute)).Verify(t.Context(), header, []byte(body))
			if reason == "" {
				require.NoError(t, err, body)
			} else {
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
		return newSecrets("sig_sec_" + strings.TrimPrefix(id, "webhook_")), nil
	}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				_, err := v.Verify(t.Context(), signedHeader(testID(i), vectorBody, testSecret(i)), []byte(vectorBody))
				assert.NoError(t, err)
				_, err = v.Verify(t.Context(), signedHeader(testID(i+1), vectorBody, testSecret(i)), []byte(vectorBody))
				assert.ErrorIs(t, err, notification.ErrBadSignature)
			}
		})
	}
	all.Wait()
	assert.Equal(t, 256, notification.CachedHMACs(256))
	assert.Equal(t, 1, notification.CachedHMACs(257), "a full cache is emptied")
}

func TestVerifier_printing(t *testing.T) {
	t.Parallel()
	v, source := newVerifier(t), (&api{webhooks: []int{0, 1}}).secrets(t)
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

func TestVerify_defaultMaxBody(t *testing.T) {
	t.Parallel()
	_, err := newVerifier(t).Verify(t.Context(), nil, make([]byte, 1<<20+1))
	require.ErrorIs(t, err, notification.ErrTooLarge, "before the headers")
	require.EqualError(t, err, "apivideo: notification too large: 1048577 bytes, the limit is 1048576")
}

// The responses of NewHandler cover the other bodies.
func TestVerifyRequest_body(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", strings.NewReader(vectorBody))
	r.Header = vectorHeader()
	n, err := newVerifier(t).VerifyRequest(r)
	require.NoError(t, err, "every method is accepted")
	assert.Equal(t, vectorBody, string(n.Raw))
	r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	_, err = newVerifier(t).VerifyRequest(r)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	r.Body = nil // as in a request for a client
	_, err = newVerifier(t).VerifyRequest(r)
	require.ErrorContains(t, err, "the body is empty")
}

func TestStatusCode_table(t *testing.T) {
	t.Parallel()
	for status, errs := range map[int][]error{
		400: {notification.ErrMalformed},
		401: {notification.ErrNoSecret, notification.ErrUnsigned, notification.ErrBadSignature, notification.ErrStale},
		413: {notification.ErrTooLarge},
		503: {notification.ErrUnavailable},
		500: {errHandling, context.Canceled, facade.ErrServer},
	} {
		for _, err := range errs {
			assert.Equal(t, status, notification.StatusCode(err), err)
			assert.Equal(t, status, notification.StatusCode(fmt.Errorf("wrapped: %w", err)), err)
		}
	}
}

// Only signed bodies are accepted, and Verify returns the result of Decode. The seeds change
// each byte of the body and each digit of the signature.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(vectorBody), "", strings.ToUpper(vectorSignature))
	f.Add([]byte(vectorBody+"\n"), webhookID, vectorSignature+", "+vectorSignature)
	f.Add([]byte("\ufeff"+vectorBody), webhookID, vectorSignature)
	for i := range vectorBody {
		f.Add([]byte(vectorBody[:i]+"x"+vectorBody[i+1:]), webhookID, vectorSignature)
		f.Add([]byte(vectorBody[:i]), webhookID, vectorSignature)
	}
	for i := range vectorSignature {
		f.Add([]byte(vectorBody), webhookID, vectorSignature[:i]+string([]byte{vectorSignature[i] ^ 1})+vectorSignature[i+1:])
	}
	for _, other := range newSecrets(strings.ToUpper(vectorSecret), strings.TrimPrefix(vectorSecret, "sig_sec_"), "") {
		f.Add([]byte(vectorBody), webhookID, notification.Sign([]byte(vectorBody), other))
	}
	v := newVerifier(f, notification.WithMaxBody(1<<16))
	f.Fuzz(func(t *testing.T, body []byte, id, signature string) {
		header := http.Header{"X-Api-Video-Webhookid": {id}, "X-Api-Video-Signature": {signature}}
		right := notification.Sign(body, secret)
		_, err := v.Verify(t.Context(), header, body)
		if strings.ToLower(signature) != right {
			assert.Contains(t, []int{401, 413}, notification.StatusCode(err))
			checkError(t, err)
			assert.NotContains(t, err.Error(), right)
		}
		header.Set(notification.HeaderSignature, right)
		n, err := v.Verify(t.Context(), header, body)
		want, malformed := notification.Decode(id, body)
		switch {
		case len(body) > 1<<16:
			require.ErrorIs(t, err, notification.ErrTooLarge)
		case malformed != nil:
			require.EqualError(t, err, malformed.Error())
		default:
			require.NoError(t, err)
			assert.Equal(t, want, n)
		}
	})
}
