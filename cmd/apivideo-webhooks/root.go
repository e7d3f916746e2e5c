package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// execute runs a command line and returns the exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.newRoot() //nolint:contextcheck // each command gets the context of cobra
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	lost := a.out.flush(ctx)
	switch {
	case lost != nil && (err == nil || !a.started):
		err = fmt.Errorf("%w: %w", errOutputLost, lost)
	case err != nil && !a.started:
		err = usageError{err}
	}
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errPending) {
		a.notef("Error: %s", oneLine(a.message(ctx, cmd, err)))
	}
	return code
}

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "apivideo-webhooks",
		Short: "Manage, send, receive and fake the webhooks of api.video",
		Long: `apivideo-webhooks manages, sends, receives and fakes the webhooks of api.video.

The API key is in the environment variable APIVIDEO_API_KEY. Commands use the
sandbox by default and production with --production.

Exit codes: 0 success, 1 error, 2 plan has changes, 64 invalid command line or
environment, 129 terminal closed, 130 interrupted by Ctrl-C, 143 terminated by
SIGTERM.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.sandbox, "sandbox", true, "use the sandbox")
	flags.BoolVar(&a.production, "production", false, "use production")
	flags.StringVar(&a.baseURL, "base-url", "", "use another server, for example a fake at `URL`")
	flags.BoolVar(&a.plainHTTP, "plain-http", false, "allow http to another machine in --base-url")
	flags.BoolVar(&a.unknownEvents, "unknown-events", false, "allow events that this version does not know")
	flags.StringVarP(&a.format, "output", "o", "table", "print table or json")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log each request to stderr")
	root.MarkFlagsMutuallyExclusive("sandbox", "production", "base-url")
	root.AddCommand(
		a.newList(), a.newGet(), a.newCreate(), a.newEnsure(), a.newDelete(),
		a.newPlan(), a.newApply(),
		a.newSend(), a.newVerify(), a.newListen(), a.newReplay(), a.newFake(),
		a.newVersion(),
	)
	for _, cmd := range root.Commands() {
		a.checkFlagsBefore(cmd)
		if cmd.Flag("event") != nil {
			_ = cmd.RegisterFlagCompletionFunc("event", completeEvents) // the flag exists
		}
	}
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	addStandardCommands(root)
	return root
}

// addStandardCommands adds the commands of cobra. By default they succeed with an unknown
// topic or shell.
func addStandardCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
				}
				return err
			}
		case "completion":
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// checkEmpty refuses an empty value, for example of an unset variable. Without the flag
// a command may do more.
func checkEmpty(cmd *cobra.Command) error {
	for _, f := range collect(cmd.Flags().Visit) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(interface{ GetSlice() []string }); ok {
			values = list.GetSlice()
		}
		if f.Name != "body" && slices.Contains(values, "") {
			return fmt.Errorf("--%s must not be empty", f.Name)
		}
	}
	return nil
}

// collect returns all values that visit yields.
func collect[T any](visit func(func(T))) (all []T) {
	visit(func(x T) { all = append(all, x) })
	return all
}

// checkFlagsBefore makes a command check the global flags first. All errors before
// are errors of the command line.
func (a *app) checkFlagsBefore(cmd *cobra.Command) {
	runE := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.format != "table" && a.format != "json" {
			return fmt.Errorf("--output %q is unknown; use table or json", a.format)
		}
		if !a.sandbox {
			return errors.New("--sandbox=false names no environment; use --production")
		}
		if err := checkEmpty(cmd); err != nil {
			return err
		}
		a.started = true
		return runE(cmd, args)
	}
}
