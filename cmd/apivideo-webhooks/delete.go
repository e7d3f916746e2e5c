package main

import (
	"errors"
	"fmt"

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
		Args:  cobra.MatchAll(cobra.MinimumNArgs(1), checkIDs),
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := a.newClient()
			if err != nil {
				return err
			}
			var unknown []string
			for _, id := range ids {
				switch err := client.DeleteWebhook(cmd.Context(), id); {
				case errors.Is(err, facade.ErrNotFound):
					unknown = append(unknown, id)
				case err != nil:
					return join(a.unknownWebhooks(unknown...), err)
				case a.jsonOutput():
					a.printJSON(deletedJSON{id, true})
				default:
					a.printf("Deleted %s", clean(id))
				}
			}
			return a.unknownWebhooks(unknown...)
		},
	}
}

// checkIDs refuses IDs that change the path of the request, before the first deletion.
// An unset variable is an empty ID.
func checkIDs(_ *cobra.Command, ids []string) error {
	for _, id := range ids {
		if id == "" || id == "." || id == ".." {
			return fmt.Errorf("the webhook ID %q is invalid", id)
		}
	}
	return nil
}
