package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// secretInput finds the secret that signs or verifies a notification.
type secretInput struct {
	path      string
	webhookID string
}

func (s *secretInput) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.path, "secret-file", "", "`file` with the signature secret, by create or apply")
	cmd.Flags().StringVar(&s.webhookID, "webhook-id", "", "`ID` of the webhook")
}

// find returns the secret in the file, in the environment, or of the webhook.
func (s *secretInput) find(ctx context.Context, a *app) (facade.Secret, error) {
	if s.path != "" {
		return s.read(ctx)
	}
	if text := a.env(envSecret); text != "" {
		secret, err := parseSecret(envSecret, text)
		if err != nil {
			return facade.Secret{}, usageError{err}
		}
		return secret, nil
	}
	if s.webhookID == "" {
		return facade.Secret{}, usagef("the signature secret is missing; use --secret-file, %s, or --webhook-id with %s", envSecret, envAPIKey)
	}
	client, err := a.newClient()
	if err != nil {
		return facade.Secret{}, err
	}
	wh, err := a.getWebhook(ctx, client, s.webhookID)
	if err != nil {
		return facade.Secret{}, err
	}
	if wh.SignatureSecret.IsZero() {
		return facade.Secret{}, fmt.Errorf("the service omits the signature secret of %s; use --secret-file", wh.ID)
	}
	return wh.SignatureSecret, nil
}

// read reads a file of create, or the entry of the webhook in a file of apply.
func (s *secretInput) read(ctx context.Context) (facade.Secret, error) {
	data, err := readFile(ctx, s.path)
	if err != nil {
		return facade.Secret{}, err
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return parseSecret(s.path, string(data))
	}
	secrets, err := parseSecrets(s.path, data)
	if err != nil {
		return facade.Secret{}, fmt.Errorf("%w; use a file by create or apply", err)
	}
	if s.webhookID == "" {
		return facade.Secret{}, usagef("%s has a secret for each webhook ID; use --webhook-id", s.path)
	}
	if secret, ok := secrets.find(s.webhookID); ok {
		return secret, nil
	}
	return facade.Secret{}, fmt.Errorf("%s has no webhook %q; use --webhook-id with an ID in the file", s.path, s.webhookID)
}
