package main

import (
	"github.com/spf13/cobra"
)

func (a *app) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if a.jsonOutput() {
				a.printJSON(v)
				return nil
			}
			text := "apivideo-webhooks " + v.Version + " " + v.Go
			if v.Revision != "" {
				text += " " + v.Revision
			}
			a.printf("%s", text)
			return nil
		},
	}
}
