package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

func (a *app) newGet() *cobra.Command {
	var secret secretOutput
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Print one webhook",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.newClient()
			if err != nil {
				return err
			}
			wh, err := a.getWebhook(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return secret.print(a, wh, newWebhookJSON(wh))
		},
	}
	secret.addFlags(cmd)
	return cmd
}

// getWebhook returns a webhook. Its error names the environment if there is none.
func (a *app) getWebhook(ctx context.Context, client *facade.Client, id string) (*facade.Webhook, error) {
	wh, err := client.GetWebhook(ctx, id)
	if errors.Is(err, facade.ErrNotFound) {
		return nil, a.unknownWebhook(id)
	}
	return wh, err
}

func (a *app) unknownWebhook(id string) error {
	return fmt.Errorf(`%s has no webhook %q; see "apivideo-webhooks list"`, a.environment(), id)
}
