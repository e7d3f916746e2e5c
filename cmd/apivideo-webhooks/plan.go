package main

import (
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// planJSON is the output for a plan.
type planJSON struct {
	Create []plannedJSON `json:"create"`
	Delete []webhookJSON `json:"delete"`
	Keep   []webhookJSON `json:"keep"`
}

type plannedJSON struct {
	URL    string             `json:"url"`
	Events []facade.EventType `json:"events"`
}

func newPlanJSON(p *facade.Plan) planJSON {
	view := planJSON{Create: []plannedJSON{}, Delete: newWebhooksJSON(p.Delete), Keep: newWebhooksJSON(p.Keep)}
	for _, c := range p.Create {
		view.Create = append(view.Create, plannedJSON{redactURL(c.URL), c.Events})
	}
	return view
}

func (a *app) newPlan() *cobra.Command {
	var flags desiredFlags
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Print the changes that apply makes; exit 2 if there are any",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.newClient()
			if err != nil {
				return err
			}
			plan, err := flags.plan(cmd.Context(), a, client)
			if err != nil {
				return err
			}
			if a.jsonOutput() {
				a.printJSON(newPlanJSON(plan))
			} else {
				a.printPlan(plan)
			}
			if a.out.flush(cmd.Context()) == nil && !plan.Empty() {
				return errPending
			}
			return nil
		},
	}
	flags.addFlags(cmd)
	return cmd
}

// printPlan writes a plan with green creations and red deletions.
func (a *app) printPlan(p *facade.Plan) {
	for line := range strings.Lines(p.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch line[0] {
		case '+':
			line = color.GreenString("%s", line)
		case '-':
			line = color.RedString("%s", line)
		}
		a.printf("%s", line)
	}
}
