package notification

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/apivideo-community/webhooks-go/facade"
)

// SecretSource returns the signature secrets of webhooks. It must be safe for
// concurrent use.
type SecretSource interface {
	// Secrets returns the secrets that may have signed a notification for this
	// webhook. One match is enough. An empty result means that the webhook is
	// unknown, and the notification is rejected. After an error the service
	// retries. A secret with white space and the placeholder [REDACTED] match
	// nothing. Both are an error unless another secret matches.
	//
	// The ID is from a header that an attacker may have written. Any length and
	// content are possible, also an empty ID. An unknown ID must be cheap.
	Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error)
}

// StaticSecrets returns a SecretSource with the same secrets for every webhook,
// also without a webhook ID. With two secrets, the old one and the new one are
// valid while a webhook is replaced. Empty secrets are ignored.
//
// With StaticSecrets an attacker can replay a recorded notification with another
// WebhookID.
func StaticSecrets(secrets ...facade.Secret) SecretSource {
	var static staticSecrets
	for _, s := range secrets {
		if !s.IsZero() {
			static = append(static, s)
		}
	}
	return static
}

type staticSecrets []facade.Secret

// Secrets returns all secrets.
func (s staticSecrets) Secrets(context.Context, string) ([]facade.Secret, error) { return s, nil }

// check rejects invalid secrets, because every notification would fail later.
func (s staticSecrets) check() error {
	if len(s) == 0 {
		return errors.New("StaticSecrets has no secret, or only empty secrets")
	}
	for i, secret := range s {
		if err := checkSecret(secret.Reveal()); err != nil {
			return fmt.Errorf("StaticSecrets: secret %d of %d %w", i+1, len(s), err)
		}
	}
	return nil
}

// placeholder is the text of a printed facade.Secret.
const placeholder = "[REDACTED]"

// checkSecret returns an error for a text that cannot be a secret. The text of the
// error follows the number of the secret.
func checkSecret(text string) error {
	switch {
	case text == placeholder:
		return fmt.Errorf("is the placeholder %q of a printed secret; store the result of Reveal", placeholder)
	case strings.ContainsFunc(text, unicode.IsSpace):
		return errors.New("contains white space, for example the newline at the end of a file; remove it")
	}
	return nil
}
