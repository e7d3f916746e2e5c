package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

func (a *app) newReplay() *cobra.Command {
	var ids, names []string
	var last int
	var d deliverer
	cmd := &cobra.Command{
		Use:   "replay FILE --to URL",
		Short: "Send recorded notifications again, byte for byte",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			if last < 0 {
				return usagef("--last must not be negative")
			}
			events, err := a.parseEvents(names)
			if err != nil {
				return usageError{err}
			}
			records, err := a.readRecords(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(records) == 0 {
				return fmt.Errorf("%s has no notifications; record some by listen --record", args[0])
			}
			records, err = selectRecords(records, ids, events, last)
			if err != nil {
				return err
			}
			failed := 0
			for i := range records {
				ok, err := d.deliver(cmd.Context(), a, records[i].ID, records[i].Header, records[i].bytes())
				if err != nil {
					return err
				}
				if !ok {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d notifications were not accepted; the receiver must respond with a status from 200 to 299", failed, len(records))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&ids, "id", nil, "replay the notification with this `ID`, or the beginning of it")
	flags.StringArrayVar(&names, "event", nil, "replay notifications of this `event`")
	flags.IntVar(&last, "last", 0, "replay the last `N` of the selected notifications, 0 for all")
	d.addFlags(cmd)
	return cmd
}

// selectRecords returns the records with a given ID and a given event.
func selectRecords(records []record, ids []string, events []facade.EventType, last int) ([]record, error) {
	var selected []record
	for i := range records {
		hasID := func(id string) bool { return strings.HasPrefix(records[i].ID, id) }
		if len(ids) > 0 && !slices.ContainsFunc(ids, hasID) {
			continue
		}
		if len(events) > 0 && !slices.Contains(events, records[i].Type) {
			continue
		}
		selected = append(selected, records[i])
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("none of the %d recorded notifications is selected; change --id or --event", len(records))
	}
	if last > 0 && last < len(selected) {
		selected = selected[len(selected)-last:]
	}
	return selected, nil
}
