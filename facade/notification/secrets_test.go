package notification_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

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
