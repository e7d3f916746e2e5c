package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

type deletedJSON struct {
	ID      string `json:"webhookId"`
	Deleted bool   `json:"deleted"`
}

func (a *app) newDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID...",
		Short: "Delete webhooks",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := a.newClient()
			if err != nil {
				return err
			}
			var failed error
			for _, id := range ids {
				switch err := client.DeleteWebhook(cmd.Context(), id); {
				case errors.Is(err, facade.ErrNotFound):
					failed = errors.Join(failed, a.unknownWebhook(id))
				case err != nil:
					return errors.Join(failed, err)
				case a.jsonOutput():
					a.printJSON(deletedJSON{id, true})
				default:
					a.printf("Deleted %s", clean(id))
				}
			}
			return failed
		},
	}
}
