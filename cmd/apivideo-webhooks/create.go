package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

func (a *app) newCreate() *cobra.Command {
	return a.newSubscribe("create", "Create a webhook, also if the same one exists",
		func(ctx context.Context, client *facade.Client, p facade.CreateWebhookParams) (*facade.Webhook, *bool, error) {
			wh, err := client.CreateWebhook(ctx, p)
			return wh, nil, err
		})
}

func (a *app) newEnsure() *cobra.Command {
	return a.newSubscribe("ensure", "Create a webhook unless the same one exists",
		func(ctx context.Context, client *facade.Client, p facade.CreateWebhookParams) (*facade.Webhook, *bool, error) {
			wh, created, err := client.EnsureWebhook(ctx, p)
			return wh, &created, err
		})
}

// newSubscribe returns a command with the flags of create and ensure.
func (a *app) newSubscribe(name, short string, do func(context.Context, *facade.Client, facade.CreateWebhookParams) (*facade.Webhook, *bool, error)) *cobra.Command {
	var rawURL string
	var names []string
	var secret secretOutput
	cmd := &cobra.Command{
		Use:   name + " --url URL --event EVENT...",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			events, err := a.parseEvents(names)
			if err != nil {
				return usageError{err}
			}
			client, err := a.newClient()
			if err != nil {
				return err
			}
			if err := secret.open(); err != nil {
				return err
			}
			wh, created, err := do(cmd.Context(), client, facade.CreateWebhookParams{URL: rawURL, Events: events})
			if err != nil {
				secret.discard()
				if errors.Is(err, facade.ErrInvalidArgument) { // the events are valid
					return usagef("--url: %w", err)
				}
				return err
			}
			if secret.needsSecret() && wh.SignatureSecret.IsZero() { // the service may omit it
				if latest, err := client.GetWebhook(cmd.Context(), wh.ID); err == nil {
					wh = latest
				}
			}
			view := newWebhookJSON(wh)
			view.Created = created
			return secret.print(a, wh, view)
		},
	}
	cmd.Flags().StringVar(&rawURL, "url", "", "`URL` that receives the notifications")
	cmd.Flags().StringArrayVar(&names, "event", nil, "`event` to subscribe to; repeat it for several")
	_ = cmd.MarkFlagRequired("url")   // the flag exists
	_ = cmd.MarkFlagRequired("event") // the flag exists
	secret.addFlags(cmd)
	return cmd
}
