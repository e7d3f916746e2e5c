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

func TestSignAndVerifyThePublishedVector(t *testing.T) {
	t.Parallel()
	require.Len(t, vectorBody, 195)
	assert.Equal(t, vectorSignature, notification.Sign([]byte(vectorBody), secret))

	for name, signature := range map[string]string{"as published": vectorSignature, "in upper case": strings.ToUpper(vectorSignature)} {
		header := signed(webhookID, vectorBody, secret)
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

func TestNewVerifierRefusesWhatCannotBeRight(t *testing.T) {
	t.Parallel()
	static := notification.StaticSecrets(secret)
	tests := map[string]struct {
		source notification.SecretSource
		opts   []notification.Option
	}{
		"no source":             {nil, nil},
		"no secrets":            {notification.StaticSecrets(), nil},
		"empty secrets":         {notification.StaticSecrets(facade.Secret{}, facade.NewSecret("")), nil},
		"no room for a body":    {static, []notification.Option{notification.WithMaxBody(0)}},
		"a negative bound":      {static, []notification.Option{notification.WithMaxBody(-1)}},
		"an age of zero":        {static, []notification.Option{notification.WithMaxAge(0)}},
		"a negative age":        {static, []notification.Option{notification.WithMaxAge(-time.Second)}},
		"an option that is nil": {static, []notification.Option{nil}},
	}
	for name, tt := range tests {
		v, err := notification.NewVerifier(tt.source, tt.opts...)
		require.ErrorIs(t, err, facade.ErrInvalidArgument, name)
		assert.True(t, strings.HasPrefix(err.Error(), "apivideo: NewVerifier: "), err)
		assert.Nil(t, v)
	}
}

// What can't be right is refused without asking anyone for a secret.
func TestVerifyLooksAtTheHeadersFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(http.Header)
		want   error
	}{
		"no signature":             {func(h http.Header) { h.Del(notification.HeaderSignature) }, notification.ErrUnsigned},
		"an empty signature":       {func(h http.Header) { h.Set(notification.HeaderSignature, "") }, notification.ErrUnsigned},
		"two signatures":           {func(h http.Header) { h.Add(notification.HeaderSignature, vectorSignature) }, notification.ErrBadSignature},
		"an empty one beside it":   {func(h http.Header) { h.Add(notification.HeaderSignature, "") }, notification.ErrBadSignature},
		"two in one header":        {func(h http.Header) { h.Set(notification.HeaderSignature, vectorSignature+", "+vectorSignature) }, notification.ErrBadSignature},
		"two ids":                  {func(h http.Header) { h.Add(notification.HeaderWebhookID, "w") }, notification.ErrBadSignature},
		"a digit less":             {func(h http.Header) { h.Set(notification.HeaderSignature, vectorSignature[1:]) }, notification.ErrBadSignature},
		"a digit more":             {func(h http.Header) { h.Set(notification.HeaderSignature, vectorSignature+"0") }, notification.ErrBadSignature},
		"not hex":                  {func(h http.Header) { h.Set(notification.HeaderSignature, "g"+vectorSignature[1:]) }, notification.ErrBadSignature},
		"a name in front":          {func(h http.Header) { h.Set(notification.HeaderSignature, "sha256="+vectorSignature[:57]) }, notification.ErrBadSignature},
		"spaces in place of zeros": {func(h http.Header) { h.Set(notification.HeaderSignature, strings.Repeat(" ", 64)) }, notification.ErrBadSignature},
		"a very long one":          {func(h http.Header) { h.Set(notification.HeaderSignature, strings.Repeat("0", 1<<20)) }, notification.ErrBadSignature},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := notification.NewVerifier(sourceFunc(func(context.Context, string) ([]facade.Secret, error) {
				t.Error("asked for a secret")
				return []facade.Secret{secret}, nil
			}))
			require.NoError(t, err)
			header := signed(webhookID, vectorBody, secret)
			tt.change(header)
			n, err := v.Verify(t.Context(), header, []byte(vectorBody))
			require.ErrorIs(t, err, tt.want)
			assert.Nil(t, n)
			assertNoSecrets(t, err.Error())
		})
	}
	_, err := newVerifier(t).Verify(t.Context(), nil, nil)
	require.ErrorIs(t, err, notification.ErrUnsigned)
}

// The id isn't signed, and StaticSecrets needs none.
func TestVerifyWithoutAnID(t *testing.T) {
	t.Parallel()
	header := signed("", vectorBody, secret)
	for range 2 {
		n, err := newVerifier(t).Verify(t.Context(), header, []byte(vectorBody))
		require.NoError(t, err)
		assert.Empty(t, n.WebhookID)
		header.Del(notification.HeaderWebhookID)
	}
}

func TestVerifyRefusesEveryOtherByte(t *testing.T) {
	t.Parallel()
	v, ctx := newVerifier(t), t.Context()
	header := signed(webhookID, vectorBody, secret)
	refused := func(header http.Header, body []byte) {
		t.Helper()
		_, err := v.Verify(ctx, header, body)
		require.ErrorIs(t, err, notification.ErrBadSignature)
	}
	body := []byte(vectorBody)
	for i := range len(body) * 8 {
		body[i/8] ^= 1 << (i % 8)
		refused(header, body)
		body[i/8] ^= 1 << (i % 8)
	}
	for i := range body {
		refused(header, body[:i])
	}
	refused(header, append(bytes.Clone(body), '\n'))
	refused(header, append([]byte("\ufeff"), body...))
	for i := range vectorSignature {
		digit := "0"
		if vectorSignature[i] == '0' {
			digit = "1"
		}
		header.Set(notification.HeaderSignature, vectorSignature[:i]+digit+vectorSignature[i+1:])
		refused(header, body)
	}
	// A signature of another body, by another secret, and by the empty one.
	refused(signed(webhookID, "{}", secret), body)
	refused(signed(webhookID, vectorBody, facade.NewSecret(strings.ToUpper(vectorSecret))), body)
	refused(signed(webhookID, vectorBody, facade.NewSecret(strings.TrimPrefix(vectorSecret, "sig_sec_"))), body)
	refused(signed(webhookID, vectorBody, facade.Secret{}), body)
}

func TestVerifyTakesAnyOfSeveralSecrets(t *testing.T) {
	t.Parallel()
	secrets := []facade.Secret{secretOf(1), secretOf(2), {}, secretOf(3)}
	v, err := notification.NewVerifier(notification.StaticSecrets(secrets...))
	require.NoError(t, err)
	for i := range 5 {
		_, err := v.Verify(t.Context(), signed(webhookID, vectorBody, secretOf(i)), []byte(vectorBody))
		if i >= 1 && i <= 3 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, notification.ErrBadSignature)
		}
	}
}

var errSource = errors.New("the vault is sealed")

func TestVerifyWithoutASecret(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secrets []facade.Secret
		err     error
		want    error
	}{
		"none":            {nil, nil, notification.ErrNoSecret},
		"empty ones":      {[]facade.Secret{{}, facade.NewSecret("")}, nil, notification.ErrNoSecret},
		"a failure":       {nil, errSource, errSource},
		"both":            {[]facade.Secret{secret}, errSource, errSource},
		"a says-so":       {nil, fmt.Errorf("unknown: %w", notification.ErrNoSecret), notification.ErrNoSecret},
		"a context's end": {nil, context.DeadlineExceeded, context.DeadlineExceeded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := notification.NewVerifier(sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
				assert.Equal(t, webhookID, id)
				return tt.secrets, tt.err
			}))
			require.NoError(t, err)
			// Signed with the empty secret, which anyone can.
			n, err := v.Verify(t.Context(), signed(webhookID, vectorBody, facade.Secret{}), []byte(vectorBody))
			require.ErrorIs(t, err, tt.want)
			assert.Equal(t, errors.Is(tt.want, notification.ErrNoSecret), errors.Is(err, notification.ErrNoSecret))
			assert.True(t, strings.HasPrefix(err.Error(), "apivideo: "), err)
			assert.Nil(t, n)
		})
	}
}

func TestVerifyPassesTheContextOn(t *testing.T) {
	t.Parallel()
	v, err := notification.NewVerifier(sourceFunc(func(ctx context.Context, _ string) ([]facade.Secret, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Verify(ctx, signed(webhookID, vectorBody, secret), []byte(vectorBody))
	require.ErrorIs(t, err, context.Canceled)
}

func TestVerifyBoundsTheBody(t *testing.T) {
	t.Parallel()
	exact := `{"type":"video.new","pad":"` + strings.Repeat("x", 1<<20-29) + `"}`
	require.Len(t, exact, 1<<20)
	_, err := newVerifier(t).Verify(t.Context(), signed(webhookID, exact, secret), []byte(exact))
	require.NoError(t, err)
	exact += " "
	_, err = newVerifier(t).Verify(t.Context(), signed(webhookID, exact, secret), []byte(exact))
	require.ErrorIs(t, err, notification.ErrTooLarge)
	_, err = newVerifier(t, notification.WithMaxBody(194)).Verify(t.Context(), nil, []byte(vectorBody))
	require.ErrorIs(t, err, notification.ErrTooLarge, "before anything else")
	_, err = newVerifier(t, notification.WithMaxBody(1), notification.WithMaxBody(195)).
		Verify(t.Context(), signed(webhookID, vectorBody, secret), []byte(vectorBody))
	require.NoError(t, err, "the later one holds")
}

func TestVerifyJudgesTheSignedAge(t *testing.T) {
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
				_, err := v.Verify(t.Context(), signed(webhookID, body, secret), []byte(body))
				require.ErrorIs(t, err, want, "%s %v", event, age)
			}
		}
		for _, at := range []string{"0001-01-01T00:00:01Z", "9999-12-31T23:59:59Z"} { // beyond what a Duration holds
			body := `{"type":"video.summary.generated","emittedAt":"` + at + `"}`
			_, err := v.Verify(t.Context(), signed(webhookID, body, secret), []byte(body))
			require.ErrorIs(t, err, notification.ErrStale, at)
		}

		// The same bytes again, until they are too old.
		body := `{"type":"video.summary.generated","emittedAt":"` + time.Now().Format(time.RFC3339) + `"}`
		header := signed(webhookID, body, secret)
		for range 7 {
			_, err := v.Verify(t.Context(), header, []byte(body))
			require.NoError(t, err)
			<-time.After(10 * time.Second)
		}
		_, err := v.Verify(t.Context(), header, []byte(body))
		require.ErrorIs(t, err, notification.ErrStale)

		body = `{"type":"video.new","emittedAt":"today"}`
		_, err = v.Verify(t.Context(), signed(webhookID, body, secret), []byte(body))
		require.ErrorIs(t, err, notification.ErrStale, "there is nothing to judge by")
		_, err = newVerifier(t).Verify(t.Context(), signed(webhookID, body, secret), []byte(body))
		require.NoError(t, err, "unless it is judged")
	})
}

func TestVerifySignedGarbage(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "<html>"} {
		_, err := newVerifier(t, notification.WithMaxAge(time.Minute)).Verify(t.Context(), signed(webhookID, body, secret), []byte(body))
		require.ErrorIs(t, err, notification.ErrMalformed)
	}
}

// A source of more secrets than a verifier keeps HMACs for is served all the
// same, by many goroutines at once.
func TestVerifyWithManySecretsAtOnce(t *testing.T) {
	t.Parallel()
	v, err := notification.NewVerifier(sourceFunc(func(_ context.Context, id string) ([]facade.Secret, error) {
		return []facade.Secret{facade.NewSecret("sig_sec_" + id)}, nil
	}))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 3000 {
				id := idOf(i)
				_, err := v.Verify(t.Context(), signed(id, vectorBody, facade.NewSecret("sig_sec_"+id)), []byte(vectorBody))
				assert.NoError(t, err)
				_, err = v.Verify(t.Context(), signed(idOf(i+1), vectorBody, facade.NewSecret("sig_sec_"+id)), []byte(vectorBody))
				assert.ErrorIs(t, err, notification.ErrBadSignature)
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, v.Kept(), 1024)
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	v := newVerifier(t)
	_, err := v.Verify(t.Context(), signed(webhookID, vectorBody, secret), []byte(vectorBody))
	require.NoError(t, err)
	client := newClient(t, func(r *http.Request) (*http.Response, error) { return listOf(r, 2), nil })
	source := notification.ClientSecrets(client)
	_, err = source.Secrets(t.Context(), idOf(1))
	require.NoError(t, err)
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
