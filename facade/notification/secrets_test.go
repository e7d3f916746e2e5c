package notification_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// reveal returns the texts of secrets.
func reveal(secrets []facade.Secret) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s.Reveal())
	}
	return all
}

func TestStaticSecrets_everyWebhook(t *testing.T) {
	t.Parallel()
	source := notification.StaticSecrets(testSecret(1), facade.Secret{}, testSecret(2))
	for _, id := range []string{"", webhookID, "\x00"} {
		secrets, err := source.Secrets(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, reveal([]facade.Secret{testSecret(1), testSecret(2)}), reveal(secrets))
	}
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
