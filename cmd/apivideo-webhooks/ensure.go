package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

func (a *app) newEnsure() *cobra.Command {
	return a.newSubscribe("ensure", "Create a webhook unless the same one exists",
		func(ctx context.Context, client *facade.Client, p facade.CreateWebhookParams) (*facade.Webhook, *bool, error) {
			wh, created, err := client.EnsureWebhook(ctx, p)
			return wh, &created, err
		})
}
