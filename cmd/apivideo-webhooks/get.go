package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	switch {
	case errors.Is(err, facade.ErrNotFound):
		return nil, a.unknownWebhooks(id)
	case errors.Is(err, facade.ErrInvalidArgument):
		return nil, usageError{err}
	}
	return wh, err
}

// unknownWebhooks returns an error that names the IDs, or nil without any.
func (a *app) unknownWebhooks(ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = strconv.Quote(id)
	}
	return fmt.Errorf(`%s has no webhook %s; see "apivideo-webhooks list"`, a.environment(), strings.Join(quoted, ", "))
}
