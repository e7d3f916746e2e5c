package main

import (
	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

func (a *app) newList() *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all webhooks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var opts facade.ListOptions
			if event != "" {
				events, err := a.parseEvents([]string{event})
				if err != nil {
					return usageError{err}
				}
				opts.Event = events[0]
			}
			client, err := a.newClient()
			if err != nil {
				return err
			}
			webhooks, err := facade.Collect(client.Webhooks(cmd.Context(), opts))
			if err != nil {
				return err
			}
			a.printWebhooks(webhooks)
			return nil
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "list the webhooks with this `event` only")
	return cmd
}

// printWebhooks writes a table, or one JSON object a line.
func (a *app) printWebhooks(webhooks []*facade.Webhook) {
	if a.jsonOutput() {
		for _, wh := range webhooks {
			a.printJSON(newWebhookJSON(wh))
		}
		return
	}
	rows := make([][]string, len(webhooks))
	for i, wh := range webhooks {
		rows[i] = []string{clean(wh.ID), clean(redactURL(wh.URL)), joinEvents(wh.Events), formatTime(wh.CreatedAt)}
	}
	a.table([]string{"ID", "URL", "EVENTS", "CREATED"}, rows)
}
