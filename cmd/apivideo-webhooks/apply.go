package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// appliedJSON is the output of apply.
type appliedJSON struct {
	Created      []webhookJSON `json:"created"`
	Deleted      []webhookJSON `json:"deleted"`
	DeletedEarly int           `json:"deletedEarly"`
	Remaining    planJSON      `json:"remaining"`
}

func (a *app) newApply() *cobra.Command {
	var flags desiredFlags
	var yes bool
	var secretsPath string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create and delete webhooks until the account has the desired ones",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, err := a.newClient()
			if err != nil {
				return err
			}
			plan, err := flags.plan(ctx, a, client)
			if err != nil {
				return err
			}
			if !a.jsonOutput() {
				a.printPlan(plan)
			}
			if a.out.flush(ctx) != nil {
				return nil //nolint:nilerr // the user has not seen the plan, and execute returns the error
			}
			if n := len(plan.Delete); n > 0 && !yes {
				if !a.terminal || a.jsonOutput() {
					_, _ = fmt.Fprint(a.errOut, plan) // the user has not seen it
				}
				if err := a.confirm(ctx, n, flags.file == "-"); err != nil {
					return err
				}
			}
			if secretsPath == "" {
				applied, err := client.ApplyPlan(ctx, plan)
				a.printApplied(plan, applied, err)
				return err
			}
			return a.applyWithSecrets(ctx, client, plan, secretsPath)
		},
	}
	flags.addFlags(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "delete without a question")
	cmd.Flags().StringVar(&secretsPath, "secrets-file", "", "write the secrets of all desired webhooks to this `file`, with mode 0600")
	return cmd
}

// applyWithSecrets writes the secrets before the first change and after the last.
// The first time proves that the file can be written.
func (a *app) applyWithSecrets(ctx context.Context, client *facade.Client, plan *facade.Plan, path string) error {
	secrets, err := readSecrets(ctx, path)
	if err != nil {
		return err
	}
	secrets.add(plan.Keep)
	if err := secrets.write(path); err != nil {
		return err
	}
	applied, applyErr := client.ApplyPlan(ctx, plan)
	secrets.add(applied.Created)
	err = applyErr
	if err == nil {
		err = secrets.complete(ctx, client, applied.Remaining.Keep)
	}
	err = join(err, secrets.write(path)) // before the output, which may be closed
	a.printApplied(plan, applied, applyErr)
	return err
}

func (a *app) printApplied(plan *facade.Plan, applied *facade.Applied, err error) {
	if a.jsonOutput() {
		a.printJSON(appliedJSON{
			Created:      newWebhooksJSON(applied.Created),
			Deleted:      newWebhooksJSON(applied.Deleted),
			DeletedEarly: applied.DeletedEarly,
			Remaining:    newPlanJSON(&applied.Remaining),
		})
		return
	}
	if plan.Empty() {
		return
	}
	a.printf("Created %d, deleted %d", len(applied.Created), len(applied.Deleted))
	if n := applied.DeletedEarly; n > 0 {
		a.printf("The account was full: deleted %s before the first creation", countWebhooks(n))
	}
	if err != nil && !applied.Remaining.Empty() {
		a.printf("Remaining:")
		a.printPlan(&applied.Remaining)
	}
}

// confirm asks before n webhooks are deleted.
func (a *app) confirm(ctx context.Context, n int, stdinUsed bool) error {
	if !a.inTerminal || stdinUsed {
		return fmt.Errorf("apply deletes %s and cannot ask, because stdin is not a terminal; use --yes", countWebhooks(n))
	}
	_, _ = fmt.Fprintf(a.errOut, "Delete %s? [y/N] ", countWebhooks(n))
	line, err := readUntilSignal(ctx, func() ([]byte, error) {
		line, _ := bufio.NewReader(a.in).ReadBytes('\n') // an end without a line is a no
		return line, nil
	})
	if err != nil {
		a.notef("") // after the question
		return errors.New("nothing was changed")
	}
	if reply := strings.ToLower(strings.TrimSpace(string(line))); reply == "y" || reply == "yes" {
		return nil
	}
	return errors.New("nothing was changed; run apply again and type y, or use --yes")
}

func countWebhooks(n int) string {
	if n == 1 {
		return "1 webhook"
	}
	return strconv.Itoa(n) + " webhooks"
}
